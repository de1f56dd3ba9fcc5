package triggers_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

// The job that fills the database is off until somebody says what it writes, runs
// alone, and is as confined as the pipeline's steps.
func TestDatabaseJob(t *testing.T) {
	m := load(t)
	job := only(t, m.cronJobs)
	if s := job.Spec; s.Suspend == nil || !*s.Suspend || s.ConcurrencyPolicy != "Forbid" || s.SuccessfulJobsHistoryLimit == nil || s.FailedJobsHistoryLimit == nil {
		t.Errorf("the job is on, may run twice, or is kept for ever: %+v", s)
	}
	if s := job.Spec.JobTemplate.Spec; s.ActiveDeadlineSeconds == nil || s.BackoffLimit == nil {
		t.Error("the job has no end")
	}
	pod := job.Spec.JobTemplate.Spec.Template
	account := m.accounts[slices.IndexFunc(m.accounts, func(a *corev1.ServiceAccount) bool { return a.Name == pod.Spec.ServiceAccountName })]
	for _, mounts := range []*bool{account.AutomountServiceAccountToken, pod.Spec.AutomountServiceAccountToken} {
		if mounts == nil || *mounts {
			t.Error("it mounts its account's token")
		}
	}
	for _, b := range m.roleBindings {
		for _, s := range b.Subjects {
			if s.Name == account.Name {
				t.Errorf("the account %s is bound to %s", account.Name, b.RoleRef.Name)
			}
		}
	}
	if c := pod.Spec.SecurityContext; c == nil || !*c.RunAsNonRoot || c.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
		t.Errorf("the Pod's security context is %+v", c)
	}
	if len(pod.Spec.Containers) != 1 || len(pod.Spec.InitContainers) > 0 {
		t.Fatalf("the Pod has %d containers", len(pod.Spec.Containers))
	}
	c := pod.Spec.Containers[0]
	if s := c.SecurityContext; s == nil || !*s.ReadOnlyRootFilesystem || *s.AllowPrivilegeEscalation || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) {
		t.Errorf("the container's security context is %+v", s)
	}
	if c.Image != "ko://github.com/revet-dev/revet/cmd/scan" || !slices.Equal(c.Command, []string{"/ko-app/scan"}) {
		t.Errorf("it runs %v of %s", c.Command, c.Image)
	}
	if c.Resources.Limits.Memory().IsZero() || c.Resources.Requests.Cpu().IsZero() {
		t.Error("it has no bounds")
	}
	checkVolumes(t, pod.Spec)
	checkSettings(t, m, c)

	at := slices.IndexFunc(m.policies, func(p *networkingv1.NetworkPolicy) bool {
		return p.Spec.PodSelector.MatchLabels["revet.dev/network"] == pod.Labels["revet.dev/network"]
	})
	pipeline := slices.IndexFunc(m.policies, func(p *networkingv1.NetworkPolicy) bool {
		return p.Spec.PodSelector.MatchLabels["revet.dev/network"] == "registries"
	})
	if at < 0 || pipeline < 0 {
		t.Fatal("no network policy is for the job, or none for what speaks to registries")
	}
	if diff := cmp.Diff(m.policies[pipeline].Spec.Egress, m.policies[at].Spec.Egress); diff != "" {
		t.Errorf("it may reach something else than what speaks to registries (-registries +job):\n%s", diff)
	}
}

// checkVolumes checks that volumes are mounted, bounded, and no host's.
func checkVolumes(t *testing.T, pod corev1.PodSpec) {
	t.Helper()
	for _, v := range pod.Volumes {
		if !slices.ContainsFunc(pod.Containers[0].VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == v.Name }) {
			t.Errorf("volume %s is mounted nowhere", v.Name)
		}
		if v.HostPath != nil || v.EmptyDir != nil && v.EmptyDir.SizeLimit == nil {
			t.Errorf("volume %s is the host's, or has no limit", v.Name)
		}
	}
}

// checkSettings checks that the variables in arguments are there, from the ConfigMap
// beside the job, which names no database.
func checkSettings(t *testing.T, m manifests, c corev1.Container) {
	t.Helper()
	settings := m.configMaps[len(m.configMaps)-1]
	var set []string
	for _, e := range c.Env {
		if e.ValueFrom == nil {
			continue
		}
		from := e.ValueFrom.ConfigMapKeyRef
		// The name of the database is not in the file: applying it again would empty it.
		if _, ok := settings.Data[from.Key]; ok == (from.Key == "database") || from.Name != settings.Name {
			t.Errorf("variable %s is the key %s of %s, which has every key but \"database\"", e.Name, from.Key, from.Name)
		}
		set = append(set, e.Name)
	}
	same(t, "variables of the arguments", set, used(`\$\(([^)]+)\)`, strings.Join(c.Args, " ")))
	if _, named := settings.Data["database"]; named || settings.Data["source"] == "" {
		t.Errorf("the settings are %v", settings.Data)
	}
}

// The policy is mounted under the name that it has.
func TestScanPolicy(t *testing.T) {
	m := load(t)
	at := slices.IndexFunc(m.configMaps, func(c *corev1.ConfigMap) bool { return c.Name == "revet-scan-policy" })
	if at < 0 || m.configMaps[at].Data["policy.yaml"] == "" {
		t.Fatal("there is no policy")
	}
}

//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/test/images"
)

// The namespace of a team, and the one in which its images are verified.
const teamNamespace, teamVerification = "team-a", "team-a-verification"

// teamMember is somebody of the team, in a group that edits the team's namespace.
var teamMember = []string{"--as=jane", "--as-group=team-a-developers", "--as-group=system:authenticated"}

// newTeam lays out a team as docs/security.md does.
func newTeam(t *testing.T) (pushes, verdicts *env) {
	t.Helper()
	must := func(_ string, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(cluster.Kubectl(t.Context(), "create", "namespace", teamNamespace))
	must(cluster.Kubectl(t.Context(), "create", "rolebinding", "developers", "-n", teamNamespace, "--clusterrole=edit", "--group=team-a-developers"))
	manifests, err := cluster.Revet(t.Context(), "team", "team-a", "--namespaces", teamNamespace, "--group", "team-a-developers", "--ko")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "team-a.yaml")
	if err := os.WriteFile(file, []byte(manifests), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := cluster.KoApply(t.Context(), ".", "-f", file); err != nil {
		t.Fatal(err)
	}
	verdicts = envOf(t, teamVerification)
	if err := cluster.NameRegistry(t.Context(), teamVerification); err != nil {
		t.Fatal(err)
	}
	if err := cluster.NameDatabase(t.Context(), teamVerification, database); err != nil {
		t.Fatal(err)
	}
	must(cluster.Kubectl(t.Context(), "wait", "-n", teamVerification, "--for=condition=Ready", "imagetrigger/images", "--timeout=120s"))
	must(cluster.Kubectl(t.Context(), "wait", "-n", teamVerification, "--for=condition=PullAllowed", "imagetrigger/images", "--timeout=120s"))
	if err := cluster.WaitSource(t.Context(), teamVerification); err != nil {
		t.Fatal(err)
	}
	return envOf(t, teamNamespace), verdicts
}

// A team pushes to its own namespace and gets its verdicts in another, which it sees and in
// which it changes nothing: neither the pipeline and its policy, nor a trigger, nor a run.
func TestATeamGetsVerdictsWhereItCannotChangeThem(t *testing.T) {
	pushes, verdicts := newTeam(t)
	good := pushes.push(t, "web:1.0", images.Good())
	if e := verdicts.verdict(t, good); e.Status.Phase != v1alpha1.PhasePassed || e.Spec.Repository.Name != teamNamespace+"/web" {
		t.Errorf("%s is %s: %s", e.Spec.Repository.Name, e.Status.Phase, e.Status.Message)
	} else if e.Spec.FirstPush.Source != v1alpha1.SourceEvent {
		t.Errorf("the push was seen by %s, want the team's source", e.Spec.FirstPush.Source)
	}
	for _, args := range [][]string{{"get"}, {"explain", "team-a/web:1.0"}} {
		out, err := cluster.Revet(t.Context(), append(append(args, "-n", teamVerification), teamMember...)...)
		if err != nil || !strings.Contains(out, "Passed") {
			t.Errorf("kubectl revet %v: %v\n%s", args, err, out)
		}
	}
	runs := verdicts.runsOf(t, good)
	if len(runs) != 1 {
		t.Fatalf("%d runs", len(runs))
	}
	for _, try := range []struct {
		args    []string
		allowed bool
	}{
		{[]string{"get", "imageverifications,imagetriggers,pipelineruns,taskruns,tasks,configmaps,pods"}, true},
		{[]string{"logs", "-l", "tekton.dev/pipelineRun=" + runs[0].Name, "--all-containers", "--tail=1"}, true},
		{[]string{"delete", "pipelinerun", runs[0].Name}, false},
		{[]string{"annotate", "pipelinerun", runs[0].Name, "a=b"}, false},
		{[]string{"annotate", "task", "scan-image", "a=b"}, false},
		{[]string{"annotate", "pipeline", "scan-and-validate", "a=b"}, false},
		{[]string{"annotate", "configmap", "revet-scan-policy", "a=b"}, false},
		{[]string{"annotate", "configmap", "revet-validation-rules", "a=b"}, false},
		{[]string{"annotate", "imagetrigger", "images", "a=b"}, false},
		{[]string{"annotate", "eventlistener", "scan-and-validate", "a=b"}, false},
		{[]string{"annotate", "triggertemplate", "scan-and-validate", "a=b"}, false},
		{[]string{"delete", "imageverifications", "--all"}, false},
		{[]string{"get", "secrets"}, false},
		{[]string{"run", "mine", "--image=x"}, false},
		{[]string{"create", "configmap", "mine"}, false},
	} {
		out, err := cluster.KubectlSays(t.Context(), "", append(append(try.args, "-n", teamVerification), teamMember...)...)
		if try.allowed != (err == nil) || !try.allowed && !strings.Contains(out, "Forbidden") && !strings.Contains(out, "is forbidden") {
			t.Errorf("kubectl %v: %s", try.args, out)
		}
	}
	if e := verdicts.verdict(t, good); e.Status.RunCount != 1 || e.Status.Phase != v1alpha1.PhasePassed {
		t.Errorf("after all that, it is %s with %d runs", e.Status.Phase, e.Status.RunCount)
	}
	// The team's image that fails is the same team's to see.
	if e := verdicts.verdict(t, pushes.push(t, "web:2.0", images.Bad())); e.Status.Phase != v1alpha1.PhaseFailed {
		t.Errorf("the bad image is %s: %s", e.Status.Phase, e.Status.Message)
	}
}

package triggers_test

import (
	stdcmp "cmp"
	"context"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tektoncd/pipeline/pkg/apis/pipeline"
	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	triggersv1 "github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"knative.dev/pkg/apis"
	"sigs.k8s.io/yaml"

	"github.com/revet-dev/revet/pkg/pipeline/signature"
	"github.com/revet-dev/revet/pkg/pipeline/taskresult"
	"github.com/revet-dev/revet/pkg/pipeline/verdict"
	"github.com/revet-dev/revet/pkg/runresult"
)

// Tekton's own admission accepts the manifests, defaulted as it defaults them.
func TestManifestsPassTektonsValidation(t *testing.T) {
	inBothForms(t, testTektonsValidation)
}

// inBothForms runs a test for the manifests as they are, and for those in which publishing is a Pod
// of its own.
func inBothForms(t *testing.T, test func(*testing.T, manifests)) {
	t.Helper()
	t.Run("as they are", func(t *testing.T) { test(t, load(t)) })
	t.Run("publishing apart", func(t *testing.T) { test(t, loadApart(t)) })
}

func testTektonsValidation(t *testing.T, m manifests) {
	t.Helper()
	type object interface {
		apis.Defaultable
		apis.Validatable
	}
	objects := map[string]object{
		"Pipeline":           only(t, m.pipelines),
		"EventListener":      only(t, m.listeners),
		"TriggerBinding":     only(t, m.bindings),
		"TriggerTemplate":    only(t, m.templates),
		"ClusterInterceptor": only(t, m.interceptors),
	}
	for _, task := range m.tasks {
		objects["Task "+task.Name] = task
	}
	for name, o := range objects {
		ctx := apis.WithinCreate(context.Background())
		o.SetDefaults(ctx)
		if err := o.Validate(ctx); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The manifests go into the namespace that the user names.
func TestManifestsNameNoNamespace(t *testing.T) {
	m := load(t)
	for _, o := range m.all {
		if o.GetNamespace() != "" {
			t.Errorf("%s names the namespace %q", o.GetName(), o.GetNamespace())
		}
	}
	for _, b := range m.roleBindings {
		for _, s := range b.Subjects {
			if s.Namespace != "" {
				t.Errorf("RoleBinding %s names the namespace %q", b.Name, s.Namespace)
			}
		}
	}
}

// What one object names in another is there, under that name.
func TestManifestsFitEachOther(t *testing.T) {
	inBothForms(t, testFit)
}

func testFit(t *testing.T, m manifests) {
	t.Helper()
	pipe := only(t, m.pipelines)
	listener, binding, template := only(t, m.listeners), only(t, m.bindings), only(t, m.templates)
	run, err := renderOf(t, m, request(), nil)
	if err != nil {
		t.Fatal(err)
	}

	trigger := listener.Spec.Triggers[0]
	for _, pair := range []struct{ what, names, is string }{
		{"the listener's binding", trigger.Bindings[0].Ref, binding.Name},
		{"the listener's template", *trigger.Template.Ref, template.Name},
		{"the run's pipeline", run.Spec.PipelineRef.Name, pipe.Name},
		{"the listener's account", listener.Spec.ServiceAccountName, m.accounts[0].Name},
		{"the run's account", run.Spec.TaskRunTemplate.ServiceAccountName, m.accounts[1].Name},
		{"the rules", rulesVolume(t, m.task(t, "scan-image")).ConfigMap.Name, m.configMaps[0].Name},
	} {
		if pair.names != pair.is {
			t.Errorf("%s is named %q and is %q", pair.what, pair.names, pair.is)
		}
	}

	var bound, wanted []string
	for _, p := range binding.Spec.Params {
		bound = append(bound, p.Name)
	}
	for _, p := range template.Spec.Params {
		wanted = append(wanted, p.Name)
	}
	same(t, "parameters of binding and template", wanted, bound)
	same(t, "parameters of template and those it uses", wanted, used(`\$\(tt\.params\.([^)]+)\)`, string(template.Spec.ResourceTemplates[0].Raw)))
	within(t, "parameters of the run, which the pipeline must have", given(run.Spec.Params), specs(pipe.Spec.Params))
	within(t, "parameters without a default, which the run must give", needed(pipe.Spec.Params), given(run.Spec.Params))
	var taken []string
	for _, step := range pipe.Spec.Tasks {
		task := m.task(t, step.TaskRef.Name)
		within(t, "parameters given to "+task.Name, given(step.Params), specs(task.Spec.Params))
		within(t, "parameters that "+task.Name+" needs", needed(task.Spec.Params), given(step.Params))
		taken = append(taken, values(step.Params)...)
	}
	same(t, "parameters of the pipeline and those it uses", specs(pipe.Spec.Params), used(`\$\(params\.([^)]+)\)`, strings.Join(taken, " ")))
	for _, task := range m.tasks {
		var args []string
		for _, s := range task.Spec.Steps {
			args = append(args, s.Args...)
		}
		var takes []string
		for _, name := range used(`\$\(params\.([^)]+)\)`, strings.Join(args, " ")) {
			takes = append(takes, strings.TrimSuffix(name, "[*]"))
		}
		same(t, "parameters of "+task.Name+" and those it uses", specs(task.Spec.Params), takes)
	}
}

// The outcomes of all Tasks but the last reach it, and it expects just the checks
// that they make.
func TestOutcomesAreJoined(t *testing.T) {
	m := load(t)
	pipe := only(t, m.pipelines)
	var want []string
	for _, step := range pipe.Spec.Tasks[:len(pipe.Spec.Tasks)-1] {
		want = append(want, "$(tasks."+step.Name+".results."+runresult.Outcome+")")
		if len(step.RunAfter) > 0 || strings.Contains(strings.Join(values(step.Params), " "), "$(tasks.") {
			t.Errorf("%s waits for another Task", step.Name)
		}
	}
	last := pipe.Spec.Tasks[len(pipe.Spec.Tasks)-1]
	for _, p := range last.Params {
		if p.Name == "outcomes" {
			same(t, "outcomes", want, p.Value.ArrayVal)
		}
	}
	var made []string
	for _, s := range m.task(t, "scan-image").Spec.Steps {
		for _, arg := range s.Args {
			if list, ok := strings.CutPrefix(arg, "--expect="); ok {
				made = append(made, strings.Split(list, ",")...)
			}
		}
	}
	made = append(made, signature.CheckName)
	for _, p := range m.task(t, "join-verdict").Spec.Params {
		if p.Name == "expect" {
			same(t, "checks", made, strings.Split(p.Default.StringVal, ","))
		}
	}
}

// The results are those that the steps write and that Revet reads.
func TestResults(t *testing.T) {
	m := load(t)
	pipe := only(t, m.pipelines)
	read := []string{runresult.Verdict, runresult.Digest, runresult.Summary, runresult.BasisResult, runresult.Report}
	for name, want := range map[string][]string{
		"scan-image":        {runresult.Outcome, runresult.Error},
		"verify-signature":  {runresult.Outcome, runresult.Error},
		"publish-documents": {runresult.Published, runresult.Error},
		"join-verdict":      append(slices.Clone(read), runresult.Error),
	} {
		var results []string
		for _, r := range m.task(t, name).Spec.Results {
			// Tekton would take a summary of another type for an object.
			if r.Type != pipelinev1.ResultsTypeString {
				t.Errorf("result %s of %s has the type %q", r.Name, name, r.Type)
			}
			results = append(results, r.Name)
		}
		same(t, "results of "+name, want, results)
	}
	var ofPipeline []string
	for _, r := range pipe.Spec.Results {
		ofPipeline = append(ofPipeline, r.Name)
		if want := "$(tasks.join-verdict.results." + r.Name + ")"; r.Value.StringVal != want {
			t.Errorf("pipeline result %s is %s, want %s", r.Name, r.Value.StringVal, want)
		}
	}
	same(t, "results of the pipeline", read, ofPipeline)
	if pipeline.DefaultResultPath != verdict.DefaultResults {
		t.Errorf("Tekton's results are in %q, the steps write to %q", pipeline.DefaultResultPath, verdict.DefaultResults)
	}
}

// The kubelet cuts the message of each container to its part of 12 KiB; results
// that do not fit fail the TaskRun. Tekton adds one container to a Pod of steps
// without scripts and working directories.
func TestResultsFitTheirPartOfThePod(t *testing.T) {
	const ofPod, ofContainer, besideOutcome, besideBoth, aFurtherStep = 12288, 4096, 130, 680, 1
	m := load(t)
	for _, task := range m.tasks {
		containers := len(task.Spec.Steps) + 1
		part := min(ofPod/(containers+aFurtherStep), ofContainer)
		most := taskresult.MaxQuoted + besideOutcome
		if task.Name == "join-verdict" {
			part, most = min(ofPod/containers, ofContainer), verdict.MaxTogether+besideBoth
		}
		if most > part {
			t.Errorf("%s: results of %d bytes in messages of %d", task.Name, most, part)
		}
	}
}

// No value reaches a shell, and each step is our image, confined.
func TestSteps(t *testing.T) {
	inBothForms(t, func(t *testing.T, m manifests) {
		for _, task := range m.tasks {
			t.Run(task.Name, func(t *testing.T) { testSteps(t, task) })
		}
	})
}

func testSteps(t *testing.T, task *pipelinev1.Task) {
	t.Helper()
	template := task.Spec.StepTemplate.SecurityContext
	if template == nil || !*template.RunAsNonRoot || !*template.ReadOnlyRootFilesystem || *template.AllowPrivilegeEscalation ||
		!slices.Equal(template.Capabilities.Drop, []corev1.Capability{"ALL"}) || template.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
		t.Errorf("the security context of the steps is %+v", template)
	}
	mounted := map[string]bool{}
	for _, v := range task.Spec.StepTemplate.VolumeMounts {
		mounted[v.Name] = true
	}
	for _, s := range task.Spec.Steps {
		if s.Script != "" {
			t.Errorf("step %s has a script", s.Name)
		}
		if s.SecurityContext != nil {
			t.Errorf("step %s overrides the security context", s.Name)
		}
		program, ok := strings.CutPrefix(s.Image, "ko://github.com/revet-dev/revet/cmd/")
		if !ok || !slices.Contains([]string{"step", "scan"}, program) || !slices.Equal(s.Command, []string{"/ko-app/" + path.Base(s.Image)}) {
			t.Errorf("step %s runs %v of %q", s.Name, s.Command, s.Image)
		}
		if self := slices.Index(s.Args, "--self"); self < 0 || s.Args[self+1] != s.Image {
			t.Errorf("step %s does not say that it runs in %s: %q", s.Name, s.Image, s.Args)
		}
		if s.Timeout == nil {
			t.Errorf("step %s has no time limit", s.Name)
		}
		if want := map[string]string{"scan": "vulnerabilities"}; s.Args[0] != stdcmp.Or(want[s.Name], s.Name) {
			t.Errorf("step %s runs the command %q", s.Name, s.Args[0])
		}
		if s.ComputeResources.Limits.Memory().IsZero() || s.ComputeResources.Requests.Cpu().IsZero() {
			t.Errorf("step %s has no bounds", s.Name)
		}
		for _, v := range s.VolumeMounts {
			mounted[v.Name] = true
		}
	}
	for _, v := range task.Spec.Volumes {
		if !mounted[v.Name] {
			t.Errorf("volume %s is mounted nowhere", v.Name)
		}
		if v.EmptyDir != nil && v.EmptyDir.SizeLimit == nil {
			t.Errorf("volume %s has no limit", v.Name)
		}
	}
}

// The listener may read what it needs and create PipelineRuns; the pipeline's
// account may do nothing; nobody may read Secrets.
func TestRights(t *testing.T) {
	m := load(t)
	want := []rbacv1.PolicyRule{
		{APIGroups: []string{"triggers.tekton.dev"}, Verbs: []string{"get", "list", "watch"},
			Resources: []string{"eventlisteners", "triggers", "triggerbindings", "triggertemplates", "interceptors"}},
		{APIGroups: []string{"tekton.dev"}, Resources: []string{"pipelineruns"}, Verbs: []string{"create"}},
	}
	if diff := cmp.Diff(want, only(t, m.roles).Rules); diff != "" {
		t.Errorf("role (-want +got):\n%s", diff)
	}
	want = []rbacv1.PolicyRule{{APIGroups: []string{"triggers.tekton.dev"}, Verbs: []string{"get", "list", "watch"},
		Resources: []string{"clusterinterceptors", "clustertriggerbindings"}}}
	if diff := cmp.Diff(want, only(t, m.clusterRoles).Rules); diff != "" {
		t.Errorf("cluster role (-want +got):\n%s", diff)
	}
	account := m.accounts[1]
	if account.AutomountServiceAccountToken == nil || *account.AutomountServiceAccountToken {
		t.Errorf("the account %s mounts its token", account.Name)
	}
	for _, b := range m.roleBindings {
		for _, s := range b.Subjects {
			if s.Name == account.Name {
				t.Errorf("the account %s is bound to %s", account.Name, b.RoleRef.Name)
			}
		}
	}
}

// The listener asks Revet's interceptor, and nobody else, before it makes anything; and the
// interceptor leads to the Service in config/, over HTTP: one with the label server/type=https and
// no authority ends every EventListener of the cluster.
func TestTheListenerAsksRevet(t *testing.T) {
	m := load(t)
	own := only(t, m.interceptors)
	for _, trigger := range only(t, m.listeners).Spec.Triggers {
		want := []*triggersv1.TriggerInterceptor{{Ref: triggersv1.InterceptorRef{Kind: triggersv1.ClusterInterceptorKind, Name: own.Name}}}
		if diff := cmp.Diff(want, trigger.Interceptors); diff != "" {
			t.Errorf("trigger %s (-want +got):\n%s", trigger.Name, diff)
		}
	}
	url, err := own.ResolveAddress()
	if err != nil || url.String() != "http://interceptor.revet-system.svc:80" || own.Labels["server/type"] != "" {
		t.Errorf("it leads to %v, %v, with the labels %v", url, err, own.Labels)
	}
	raw, err := os.ReadFile("../../config/600-receiver.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var service corev1.Service
	for _, document := range strings.Split(string(raw), "\n---\n") {
		var s corev1.Service
		if err := yaml.Unmarshal([]byte(document), &s); err == nil && s.Kind == "Service" && s.Name == own.Spec.ClientConfig.Service.Name {
			service = s
		}
	}
	if service.Namespace != own.Spec.ClientConfig.Service.Namespace || len(service.Spec.Ports) != 1 ||
		service.Spec.Ports[0].Port != *own.Spec.ClientConfig.Service.Port || service.Spec.Ports[0].TargetPort.String() != "interceptor" {
		t.Errorf("the Service is %+v", service)
	}
}

// Every Pod of the pipeline is under a network policy that says what it may
// reach; what joins the outcomes reaches nothing, and nobody reaches any.
func TestNetworkPolicies(t *testing.T) {
	m := load(t)
	const label = "revet.dev/network"
	byLabel := map[string]*networkingv1.NetworkPolicy{}
	listener := 0
	for _, p := range m.policies {
		if p.Spec.PodSelector.MatchLabels["eventlistener"] == only(t, m.listeners).Name {
			listener++
			wantListenerOfController(t, p)
			continue
		}
		byLabel[p.Spec.PodSelector.MatchLabels[label]] = p
		if len(p.Spec.Ingress) > 0 || len(p.Spec.PolicyTypes) != 2 {
			t.Errorf("policy %s lets somebody in, or says nothing of one way", p.Name)
		}
	}
	if listener != 1 {
		t.Errorf("%d policies are for the Pods of the listener, want one", listener)
	}
	for _, task := range m.tasks {
		p := byLabel[task.Labels[label]]
		if p == nil {
			t.Errorf("no policy is for the Pods of %s", task.Name)
			continue
		}
		speaks := slices.ContainsFunc(task.Spec.Steps, func(s pipelinev1.Step) bool {
			return slices.ContainsFunc(s.Args, func(a string) bool { return strings.HasPrefix(a, "--registries=") })
		})
		if speaks != (len(p.Spec.Egress) > 0) {
			t.Errorf("%s speaks to registries: %t, and policy %s has %d ways out", task.Name, speaks, p.Name, len(p.Spec.Egress))
		}
	}
}

// wantListenerOfController wants a policy to let in Revet's controller, and nobody else.
func wantListenerOfController(t *testing.T, p *networkingv1.NetworkPolicy) {
	t.Helper()
	port, tcp := intstr.FromInt32(8080), corev1.ProtocolTCP
	want := []networkingv1.NetworkPolicyIngressRule{{
		From: []networkingv1.NetworkPolicyPeer{{
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: "revet-system"}},
			PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{
				"app.kubernetes.io/name": "controller", "app.kubernetes.io/part-of": "revet",
			}},
		}},
		Ports: []networkingv1.NetworkPolicyPort{{Port: &port, Protocol: &tcp}},
	}}
	if diff := cmp.Diff(want, p.Spec.Ingress); diff != "" || !slices.Contains(p.Spec.PolicyTypes, networkingv1.PolicyTypeIngress) {
		t.Errorf("policy %s, for %v (-want +got):\n%s", p.Name, p.Spec.PolicyTypes, diff)
	}
}

func rulesVolume(t *testing.T, task *pipelinev1.Task) corev1.Volume {
	t.Helper()
	for _, v := range task.Spec.Volumes {
		if v.Name == "rules" && v.ConfigMap != nil {
			return v
		}
	}
	t.Fatal("the task has no volume of rules")
	return corev1.Volume{}
}

func specs(params []pipelinev1.ParamSpec) []string {
	var names []string
	for _, p := range params {
		names = append(names, p.Name)
	}
	return names
}

// needed are those without a default.
func needed(params []pipelinev1.ParamSpec) []string {
	var names []string
	for _, p := range params {
		if p.Default == nil {
			names = append(names, p.Name)
		}
	}
	return names
}

func values(params []pipelinev1.Param) []string {
	var all []string
	for _, p := range params {
		all = append(append(all, p.Value.StringVal), p.Value.ArrayVal...)
	}
	return all
}

// within reports what of some is not in all.
func within(t *testing.T, what string, some, all []string) {
	t.Helper()
	for _, name := range some {
		if !slices.Contains(all, name) {
			t.Errorf("%s: %q is not among %q", what, name, all)
		}
	}
}

func given(params []pipelinev1.Param) []string {
	var names []string
	for _, p := range params {
		names = append(names, p.Name)
	}
	return names
}

func used(pattern, text string) []string {
	var names []string
	for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		if !slices.Contains(names, match[1]) {
			names = append(names, match[1])
		}
	}
	return names
}

func same(t *testing.T, what string, want, got []string) {
	t.Helper()
	want, got = slices.Sorted(slices.Values(want)), slices.Sorted(slices.Values(got))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

package comparesandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"knative.dev/pkg/apis"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/command"
	"github.com/revet-dev/revet/pkg/cli/commandtest"
	"github.com/revet-dev/revet/pkg/cli/comparesandbox/compare"
	"github.com/revet-dev/revet/pkg/cli/comparesandbox/nodeusage"
)

// laboratory is a cluster whose runs end as soon as they are created, in two Pods
// each. Its clock stands still but for them.
type laboratory struct {
	client client.Client
	clock  time.Time
	// pods counts those that were made, and log is what the probe prints of them.
	pods int
	log  bytes.Buffer
	// created lists what was created, and left what was not removed again.
	created, left []string

	mu sync.Mutex // over what the commands' goroutines share

	// What is wrong with it.
	verdict   func(run int) string
	condition corev1.ConditionStatus
	class     *string
	refuse    error
	probeFails,
	mute bool
}

// laboratoryObjects is a namespace as the repository's own manifests make it.
func laboratoryObjects(t *testing.T) []client.Object {
	t.Helper()
	scheme, err := command.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	var objects []client.Object
	for _, file := range []string{"400-pipeline", "500-triggertemplate", "600-triggerbinding", "700-eventlistener"} {
		for _, o := range commandtest.ReadObjects(t, filepath.Join("..", "..", "..", "triggers", file+".yaml"), scheme).Objects {
			o.SetNamespace("demo")
			objects = append(objects, o)
		}
	}
	trigger := commandtest.TriggerOf("demo", "prod", "")
	trigger.Spec.Sink.Ref = &v1alpha1.SinkRef{APIVersion: "triggers.tekton.dev/v1beta1", Kind: "EventListener", Name: "scan-and-validate"}
	trigger.Spec.Sandbox.RuntimeClassName = "kata"
	nodeOf := func(name string, change func(*corev1.Node)) *corev1.Node {
		n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelHostname: name + ".example.com", "pool": "sandboxed"}}}
		n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
		n.Status.Capacity = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2"), corev1.ResourceMemory: resource.MustParse("24Gi")}
		n.Status.NodeInfo = corev1.NodeSystemInfo{KernelVersion: "6.1.0", ContainerRuntimeVersion: "containerd://2.1.0"}
		change(n)
		return n
	}
	return append(objects, trigger,
		&nodev1.RuntimeClass{
			ObjectMeta: metav1.ObjectMeta{Name: "kata"}, Handler: "runsc",
			Overhead:   &nodev1.Overhead{PodFixed: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("160Mi")}},
			Scheduling: &nodev1.Scheduling{NodeSelector: map[string]string{"pool": "sandboxed"}},
		},
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "revet-system", Name: "config-probe"}, Data: map[string]string{"image": "registry.example.com/probe@" + commandtest.DigestA}},
		nodeOf("a-cordoned", func(n *corev1.Node) { n.Spec.Unschedulable = true }),
		nodeOf("b-down", func(n *corev1.Node) { n.Status.Conditions[0].Status = corev1.ConditionUnknown }),
		nodeOf("c-other", func(n *corev1.Node) { delete(n.Labels, "pool") }),
		nodeOf("d-tainted", func(n *corev1.Node) {
			n.Spec.Taints = []corev1.Taint{{Key: "gpu", Effect: corev1.TaintEffectNoSchedule}}
		}),
		nodeOf("e-node", func(*corev1.Node) {}),
	)
}

func newLaboratory(t *testing.T, objects ...client.Object) *laboratory {
	t.Helper()
	l := &laboratory{clock: commandtest.Now, condition: corev1.ConditionTrue, verdict: func(int) string { return "pass" }}
	l.client, _ = commandtest.Writable(t, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			if l.refuse != nil {
				return l.refuse
			}
			if o.GetName() == "" {
				o.SetName(fmt.Sprintf("%s%d", o.GetGenerateName(), len(l.created)))
			}
			l.created = append(l.created, o.GetName())
			l.left = append(l.left, o.GetName())
			switch o := o.(type) {
			case *pipelinev1.PipelineRun:
				return l.execute(ctx, c, o)
			case *corev1.Pod:
				o.Status.Phase = corev1.PodSucceeded
				if l.probeFails {
					o.Status.Phase = corev1.PodFailed
				}
				return c.Create(ctx, o, opts...)
			}
			return c.Create(ctx, o, opts...)
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			l.left = slices.DeleteFunc(l.left, func(name string) bool { return name == o.GetName() })
			if run, ok := o.(*pipelinev1.PipelineRun); ok {
				if err := l.end(ctx, c, run); err != nil {
					return err
				}
			}
			return c.Delete(ctx, o, opts...)
		},
	}, objects...)
	return l
}

// sandboxed is the class that a run asks for.
func sandboxed(run *pipelinev1.PipelineRun) string {
	if name := run.Spec.TaskRunTemplate.PodTemplate.RuntimeClassName; name != nil {
		return *name
	}
	return ""
}

// execute makes the Pods of a run, which took twice as long in a class.
func (l *laboratory) execute(ctx context.Context, c client.Client, run *pipelinev1.PipelineRun) error {
	times := time.Duration(1)
	class := run.Spec.TaskRunTemplate.PodTemplate.RuntimeClassName
	if class != nil {
		times = 2
	}
	if l.class != nil {
		class = l.class
	}
	for _, task := range []string{"scan-image", "join-verdict"} {
		l.pods++
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
			Namespace: run.Namespace, Name: run.Name + "-" + task, UID: types.UID(fmt.Sprintf("uid-%d", l.pods)),
			Labels: map[string]string{"tekton.dev/pipelineRun": run.Name},
		}}
		pod.Spec.RuntimeClassName = class
		pod.Spec.NodeName = "e-node"
		pod.Spec.Containers = []corev1.Container{{Name: "step", Image: "registry.example.com/step@" + commandtest.DigestB}}
		started := l.clock.Add(times * 1500 * time.Millisecond)
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "step", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			StartedAt:  metav1.NewTime(l.clock),
			FinishedAt: metav1.NewTime(started.Truncate(time.Second)),
			Message:    fmt.Sprintf(`[{"key":"StartedAt","value":%q,"type":3}]`, started.Format("2006-01-02T15:04:05.000Z07:00")),
		}}}}
		if err := c.Create(ctx, pod); err != nil {
			return err
		}
		if err := c.Create(ctx, &corev1.Event{
			ObjectMeta:     metav1.ObjectMeta{Namespace: run.Namespace, Name: pod.Name},
			InvolvedObject: corev1.ObjectReference{UID: pod.UID}, Reason: "Pulled",
			Message: `Successfully pulled image "registry.example.com/step" in 250ms (900ms including waiting). Image size: 7 bytes.`,
		}); err != nil {
			return err
		}
	}
	l.mu.Lock()
	l.clock = l.clock.Add(times * 8 * time.Second)
	l.mu.Unlock()
	run.Status.SetCondition(&apis.Condition{Type: apis.ConditionSucceeded, Status: l.condition, Reason: "Because", Message: "of the\ntest"})
	run.Status.Results = []pipelinev1.PipelineRunResult{{Name: "verdict", Value: *pipelinev1.NewStructuredValues(l.verdict(l.pods / 2))}}
	return c.Create(ctx, run)
}

// end removes the Pods of a run, of which the probe then tells.
func (l *laboratory) end(ctx context.Context, c client.Client, run *pipelinev1.PipelineRun) error {
	var pods corev1.PodList
	if err := c.List(ctx, &pods, client.MatchingLabels{"tekton.dev/pipelineRun": run.Name}); err != nil {
		return err
	}
	for i := range pods.Items {
		p := &pods.Items[i]
		cpu, peak, none := 0.25, int64(30<<20), int64(0)
		if sandboxed(run) != "" {
			cpu, peak = 1, 90<<20
		}
		line, err := json.Marshal(nodeusage.Ended{
			UID: string(p.UID), Since: p.Status.ContainerStatuses[0].State.Terminated.StartedAt.Time,
			CPUSeconds: &cpu, PeakMemoryBytes: &peak, DiskReadBytes: &none,
		})
		if err != nil {
			return err
		}
		if !l.mute {
			l.log.Write(append(line, '\n'))
		}
		if err := c.Delete(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// logs are the probe's, or the last line of a step, two seconds after its start in
// the cluster's own runtime.
func (l *laboratory) logs(ctx context.Context, namespace, pod string, o *corev1.PodLogOptions) ([]byte, error) {
	if strings.HasPrefix(pod, "revet-probe-") {
		if l.probeFails {
			return []byte("probe: no node\n"), nil
		}
		return append([]byte(`{"ready":true,"cgroupVersion":1}`+"\n"), l.log.Bytes()...), nil
	}
	var p corev1.Pod
	if err := l.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: pod}, &p); err != nil {
		return nil, err
	}
	if !o.Timestamps {
		return nil, nil
	}
	return []byte(startedAt(p.Status.ContainerStatuses[0].State.Terminated).Add(1250*time.Millisecond).Format(time.RFC3339Nano) + " done\n"), nil
}

func (l *laboratory) run(t *testing.T, args ...string) commandtest.Result {
	t.Helper()
	return l.runUntil(t.Context(), t, args...)
}

func (l *laboratory) runUntil(ctx context.Context, t *testing.T, args ...string) commandtest.Result {
	t.Helper()
	var out, errOut bytes.Buffer
	env := command.Environment{
		Streams: genericiooptions.IOStreams{Out: &out, ErrOut: &errOut},
		Now:     func() time.Time { l.mu.Lock(); defer l.mu.Unlock(); return l.clock },
		Connect: func(*command.ClusterFlags) (command.Cluster, error) {
			return command.Cluster{Reader: l.client, Writer: l.client, Logs: l.logs, Namespace: "demo", User: "jane"}, nil
		},
		Unique: func() string { return "x7k2q9" },
	}
	root := command.NewRoot(env)
	root.AddCommand(New(env)) //nolint:contextcheck // cobra hands the command its context
	status := command.Execute(ctx, env, root, append([]string{"compare-sandbox"}, args...))
	return commandtest.Result{Status: status, Out: out.String(), ErrOut: errOut.String()}
}

// laboratoryEntry is the image that is compared.
func laboratoryEntry() *v1alpha1.ImageVerification {
	e := commandtest.FailedEntry()
	return &e
}

// What is measured is what the node and the Pods tell; the runs are the trigger's,
// but not the ledger's, on one node; and nothing is left.
func TestCompareSandbox(t *testing.T) {
	l := newLaboratory(t, append(laboratoryObjects(t), laboratoryEntry())...)
	plot := filepath.Join(t.TempDir(), "sandbox.svg")
	r := l.run(t, "demo/app:latest", "--runs", "2", "--cold", "--plot", plot)
	if r.Status != 0 {
		t.Fatalf("status %d: %s", r.Status, r.ErrOut)
	}
	commandtest.Golden(t, "table.txt", r.Out)
	commandtest.Golden(t, "progress.txt", r.ErrOut)
	if len(l.left) > 0 {
		t.Errorf("left behind: %v", l.left)
	}
	// A probe, 2 classes with one run to warm up and 4 that count, and a Pod before
	// each cold one.
	if want := 1 + 2*(1+4) + 4; len(l.created) != want {
		t.Errorf("created %d objects, want %d: %v", len(l.created), want, l.created)
	}
	figure, err := os.ReadFile(plot)
	if err != nil || !bytes.Contains(figure, []byte("</svg>")) {
		t.Errorf("the figure: %v: %s", err, figure)
	}
}

// Runs that come to different verdicts did not do the same.
func TestComparedRunsThatDiffer(t *testing.T) {
	l := newLaboratory(t, append(laboratoryObjects(t), laboratoryEntry())...)
	l.verdict = func(run int) string { return []string{"pass", "fail"}[run%2] }
	r := l.run(t, "app-bad-1", "--runs", "1")
	if r.Status != 0 || !strings.Contains(r.Out, "The verdicts differ between runs") {
		t.Errorf("status %d: %s%s", r.Status, r.Out, r.ErrOut)
	}
}

// A run of the comparison is what the trigger's own template makes, without what the
// ledger would know it by.
func TestComparedRunsAreTheTriggersOwn(t *testing.T) {
	l := newLaboratory(t, append(laboratoryObjects(t), laboratoryEntry())...)
	l.condition = corev1.ConditionFalse // so that the first run is left
	r := l.run(t, "app-bad-1", "--classes", "default,kata", "--param", "signature=Off")
	if r.Status != 1 || !strings.Contains(r.ErrOut, `run 1 of 12, class default, warm: PipelineRun "revet-compare-x7k2q9-1" did not succeed (Because: of the test); it is left to be looked at: kubectl describe -n demo pipelinerun revet-compare-x7k2q9-1`) {
		t.Errorf("status %d: %s", r.Status, r.ErrOut)
	}
	var run pipelinev1.PipelineRun
	if err := l.client.Get(t.Context(), client.ObjectKey{Namespace: "demo", Name: "revet-compare-x7k2q9-1"}, &run); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{comparisonLabel: "x7k2q9"}, run.Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	if len(run.Annotations) > 0 {
		t.Errorf("annotations: %v", run.Annotations)
	}
	pod := run.Spec.TaskRunTemplate.PodTemplate
	if sandboxed(&run) != "" || pod.NodeSelector[corev1.LabelHostname] != "e-node.example.com" || pod.SecurityContext == nil {
		t.Errorf("podTemplate: %+v", pod)
	}
	got := map[string]string{}
	for _, p := range run.Spec.Params {
		got[p.Name] = p.Value.StringVal
	}
	want := map[string]string{"reference": commandtest.RegistryHost + "/demo/app@" + commandtest.DigestB, "signature": "Off", "publish": "none"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("params (-want +got):\n%s", diff)
	}
}

func TestCompareSandboxForPrograms(t *testing.T) {
	objects := append(laboratoryObjects(t), laboratoryEntry())
	for _, o := range objects {
		if class, ok := o.(*nodev1.RuntimeClass); ok {
			class.Handler = "kata-qemu"
		}
	}
	l := newLaboratory(t, objects...)
	r := l.run(t, "app-bad-1", "--runs", "1", "--classes", "kata", "-o", "json", "--node", "d-tainted", "--param", "publish=referrers")
	if r.Status != 0 {
		t.Fatalf("status %d: %s", r.Status, r.ErrOut)
	}
	var report compare.Report
	if err := json.Unmarshal([]byte(r.Out), &report); err != nil {
		t.Fatal(err)
	}
	if report.Node.Name != "d-tainted" || len(report.Classes) != 1 || len(report.Classes[0].Runs) != 1 {
		t.Errorf("report: %+v", report)
	}
	if len(report.Notes) != 2 || !strings.Contains(report.Notes[0], "sandbox_cgroup_only = true") || !strings.Contains(report.Notes[1], "version 1") {
		t.Errorf("notes, want those of Kata and of the control groups: %q", report.Notes)
	}
}

// Who interrupts it, while a run is under way, leaves nothing behind.
func TestAnInterruptedComparisonLeavesNothing(t *testing.T) {
	l := newLaboratory(t, append(laboratoryObjects(t), laboratoryEntry())...)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	l.condition = corev1.ConditionUnknown // no run ends
	l.verdict = func(int) string { interrupt(); return "" }
	r := l.runUntil(ctx, t, "app-bad-1")
	if r.Status != 1 || !strings.Contains(r.ErrOut, "run 1 of 12, class kata, warm: interrupted") {
		t.Errorf("status %d: %s", r.Status, r.ErrOut)
	}
	if len(l.created) != 2 || len(l.left) > 0 {
		t.Errorf("of %v there are left: %v", l.created, l.left)
	}
}

// A run that does not end says what its Pods wait for.
func TestARunThatDoesNotEndSaysWhy(t *testing.T) {
	l := newLaboratory(t, append(laboratoryObjects(t), laboratoryEntry())...)
	l.condition = corev1.ConditionUnknown
	if err := l.client.Create(t.Context(), &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: "demo", Name: "trouble"},
		InvolvedObject: corev1.ObjectReference{UID: "uid-1"}, Type: corev1.EventTypeWarning, Reason: "FailedCreatePodSandBox", Message: "no runtime for \"kata\" is configured",
	}); err != nil {
		t.Fatal(err)
	}
	l.left = nil // the Event
	r := l.run(t, "app-bad-1", "--timeout", "300ms")
	want := `PipelineRun "revet-compare-x7k2q9-1" has not ended after 300ms; of Pod "revet-compare-x7k2q9-1-scan-image": FailedCreatePodSandBox: no runtime for "kata" is configured; it is left`
	if r.Status != 1 || !strings.Contains(r.ErrOut, want) {
		t.Errorf("status %d: %s", r.Status, r.ErrOut)
	}
	if !slices.Equal(l.left, []string{"revet-compare-x7k2q9-1"}) {
		t.Errorf("left: %v", l.left)
	}
}

// Whatever can be wrong is told with its cure, and nothing is left in the cluster but
// a run that failed.
func TestCompareSandboxSaysWhatIsWrong(t *testing.T) {
	without := func(t *testing.T, kind, name string) []client.Object {
		t.Helper()
		return slices.DeleteFunc(append(laboratoryObjects(t), laboratoryEntry()), func(o client.Object) bool {
			return fmt.Sprintf("%T", o) == kind && o.GetName() == name
		})
	}
	other := "runc"
	for _, test := range []struct {
		name    string
		args    []string
		objects func(*testing.T) []client.Object
		change  func(*laboratory)
		status  int
		want    string
	}{
		{"no image", nil, nil, nil, 2, "exactly one NAME or IMAGE is required, not 0"},
		{"a class twice", []string{"app-bad-1", "--classes", "kata,kata"}, nil, nil, 2, `--classes "kata,kata" names a class twice, or none`},
		{"no run", []string{"app-bad-1", "--runs", "0"}, nil, nil, 2, "--runs must be at least 1, not 0"},
		{"a plot that is none", []string{"app-bad-1", "--plot", "x.png"}, nil, nil, 2, `--plot "x.png" must end in .svg, which is what is written`},
		{"a param without value", []string{"app-bad-1", "--param", "publish"}, nil, nil, 2, `--param "publish" is not name=value`},
		{"an unknown output", []string{"app-bad-1", "-o", "xml"}, nil, nil, 2, `unknown output "xml"; allowed: table, json, yaml`},
		{"an unknown image", []string{"demo/app:v9"}, nil, nil, 1, `there is no verification of repository "demo/app" and tag "v9" in namespace "demo"; there are demo/app (latest, v1)`},
		{"an unknown class", []string{"app-bad-1", "--classes", "firecracker"}, nil, nil, 1, `the cluster has no RuntimeClass "firecracker"; there are kata, default`},
		{"an unknown node", []string{"app-bad-1", "--node", "z"}, nil, nil, 1, `there is no node "z"; see: kubectl get nodes`},
		{"a node that lacks a label", []string{"app-bad-1", "--node", "c-other"}, nil, nil, 1, "no node can run Pods of all classes: c-other lacks the label pool=sandboxed that class kata asks for"},
		{"no node at all", []string{"app-bad-1"}, func(t *testing.T) []client.Object { return without(t, "*v1.Node", "e-node") }, nil, 1,
			"no node can run Pods of all classes: a-cordoned is cordoned; b-down is not ready; c-other lacks the label pool=sandboxed that class kata asks for; d-tainted has the taint gpu:NoSchedule, so name it with --node if you mean it"},
		{"no probe", []string{"app-bad-1"}, func(t *testing.T) []client.Object { return without(t, "*v1.ConfigMap", "config-probe") }, nil, 1,
			`there is no ConfigMap "config-probe" in namespace "revet-system", which names the image of the probe; install this version of Revet, or give --probe-image`},
		{"no template", []string{"app-bad-1"}, func(t *testing.T) []client.Object {
			return without(t, "*v1beta1.TriggerTemplate", "scan-and-validate")
		}, nil, 1, `names TriggerTemplate "scan-and-validate", which does not exist; create it, or correct the name`},
		{"no trigger", []string{"app-bad-1"}, func(t *testing.T) []client.Object { return without(t, "*v1alpha1.ImageTrigger", "prod") }, nil, 1,
			`the ImageTrigger "prod" of verification "app-bad-1" is gone, so that its pipeline is not known`},
		{"Pod Security", []string{"app-bad-1"}, nil, func(l *laboratory) {
			l.refuse = apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "x", fmt.Errorf(`violates PodSecurity "restricted:latest": hostPath volumes`))
		}, 1, "name a namespace that allows the level privileged with --probe-namespace"},
		{"a probe that fails", []string{"app-bad-1"}, nil, func(l *laboratory) { l.probeFails = true }, 1,
			`the Pod "revet-probe-x7k2q9" that looks at the node failed:  probe: no node`},
		{"another class than asked for", []string{"app-bad-1"}, nil, func(l *laboratory) { l.class = &other }, 1,
			`run 1 of 12, class kata, warm: Pod "revet-compare-x7k2q9-1-join-verdict" has the RuntimeClass "runc" instead of "kata"`},
		{"images that the node keeps", []string{"app-bad-1", "--cold"}, func(t *testing.T) []client.Object {
			old := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "old"}}
			old.Spec.NodeName = "e-node"
			old.Spec.Containers = []corev1.Container{{Image: "registry.example.com/step@" + commandtest.DigestB}}
			return append(laboratoryObjects(t), laboratoryEntry(), old)
		}, nil, 1, `node "e-node" keeps the images of the steps while other Pods have them, also such as have ended, so that no run would be cold: demo/old; delete those Pods when their runs have ended, or choose another node with --node`},
	} {
		t.Run(test.name, func(t *testing.T) {
			objects := append(laboratoryObjects(t), laboratoryEntry())
			if test.objects != nil {
				objects = test.objects(t)
			}
			l := newLaboratory(t, objects...)
			if test.change != nil {
				test.change(l)
			}
			r := l.run(t, test.args...)
			if r.Status != test.status || !strings.Contains(r.ErrOut, test.want) || r.Out != "" {
				t.Errorf("status %d, want %d; standard error\n%s\nwant\n%s\nstandard output %q", r.Status, test.status, r.ErrOut, test.want, r.Out)
			}
			if len(l.left) > 0 && test.name != "another class than asked for" {
				t.Errorf("left behind: %v", l.left)
			}
		})
	}
}

//go:build linux && bench

package bench

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	triggersv1beta1 "github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
	nodev1 "k8s.io/api/node/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/test/rig"
)

// runList is the kind of lists of PipelineRuns.
var runList = pipelinev1.SchemeGroupVersion.WithKind("PipelineRunList")

// runPatience is how long a PipelineRun may take to appear.
const runPatience = 20 * time.Second

// way is one way from a push to a PipelineRun, in a namespace of its own.
type way struct {
	namespace  string
	repository *repository
	runs       watch.Interface
	// mark is what a PipelineRun says of the push that it is for, and wanted what it says for the latest one.
	mark   string
	wanted func(digest string) string
	next   int
}

// measured is what one push took.
type measured struct {
	digest  string
	began   time.Time
	written time.Duration // the API server has answered
	run     time.Duration // the PipelineRun was seen
}

// once pushes and waits for the PipelineRun.
func (w *way) once(ctx context.Context) (measured, error) {
	digest, err := w.repository.prepare(ctx, w.next)
	w.next++
	if err != nil {
		return measured{}, fmt.Errorf("preparing a push: %w", err)
	}
	m := measured{digest: digest, began: time.Now()}
	if err := w.repository.push(ctx); err != nil {
		return measured{}, fmt.Errorf("pushing: %w", err)
	}
	m.written = time.Since(m.began)
	seen, err := w.await(w.wanted(digest))
	m.run = seen.Sub(m.began)
	return m, err
}

func (w *way) await(wanted string) (time.Time, error) {
	patience := time.NewTimer(runPatience)
	defer patience.Stop()
	for {
		select {
		case event, open := <-w.runs.ResultChan():
			now := time.Now()
			if !open {
				return now, fmt.Errorf("the watch of PipelineRuns in %s has ended", w.namespace)
			}
			run, ok := event.Object.(*metav1.PartialObjectMetadata)
			if ok && event.Type == watch.Added && run.Annotations[w.mark] == wanted {
				return now, nil
			}
		case <-patience.C:
			return time.Now(), fmt.Errorf("no PipelineRun in %s has %s %q after %s", w.namespace, w.mark, wanted, runPatience)
		}
	}
}

// newWay makes what both ways have: a stream, and an adapter that sends its changes to target.
func (e *bed) newWay(b *testing.B, namespace, target string) *way {
	b.Helper()
	w := &way{namespace: namespace, repository: newRepository(b, e.admin, namespace)}
	var runs metav1.PartialObjectMetadataList
	runs.SetGroupVersionKind(runList)
	var err error
	if w.runs, err = e.admin.Watch(b.Context(), &runs, client.InNamespace(namespace)); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(w.runs.Stop)
	e.startAdapter(b, namespace, target)
	return w
}

func (e *bed) startAdapter(b *testing.B, namespace, target string) *process {
	b.Helper()
	config := `{"namespaces":["` + namespace + `"],"resources":[{"gvr":{"Group":"image.openshift.io","Version":"v1","Resource":"imagestreams"}}],"mode":"Resource"}`
	return start(b, "the adapter to "+target, e.programs.adapter, []string{
		"KUBECONFIG=" + e.cluster.Kubeconfig(), "NAMESPACE=" + namespace, "NAME=revet", "SYSTEM_NAMESPACE=" + systemNamespace,
		"K_SINK=" + target, "K_SINK_TIMEOUT=30", "K_SOURCE_CONFIG=" + config, "PROFILING_PORT=0",
	})
}

// startSink serves an EventListener and writes its address where Tekton's controller would.
func (e *bed) startSink(b *testing.B, namespace, listener string) (url string, sink *process) {
	b.Helper()
	e.interceptor(b)
	account, err := e.account(namespace, "scan-and-validate-listener")
	if err != nil {
		b.Fatal(err)
	}
	address := freeAddress(b)
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		b.Fatal(err)
	}
	sink = start(b, "the sink "+listener, e.programs.sink, []string{
		"KUBECONFIG=" + account, "NAMESPACE=" + namespace, "NAME=" + listener, "SYSTEM_NAMESPACE=" + namespace,
		"KUBE_API_QPS=" + strconv.Itoa(e.sinkQPS), "KUBE_API_BURST=" + strconv.Itoa(2*e.sinkQPS), "PROFILING_PORT=0",
	}, "-el-name", listener, "-el-namespace", namespace, "-port", port)
	sink.await(b, "http://"+address+"/live")

	var object triggersv1beta1.EventListener
	if err := e.admin.Get(b.Context(), client.ObjectKey{Namespace: namespace, Name: listener}, &object); err != nil {
		b.Fatal(err)
	}
	object.Status.SetAddress(address)
	if err := e.admin.Status().Update(b.Context(), &object); err != nil {
		b.Fatal(err)
	}
	return "http://" + address, sink
}

// interceptor makes the object that every sink insists on. Nobody serves it and nobody calls it.
func (e *bed) interceptor(b *testing.B) {
	b.Helper()
	e.create(b, rig.Interceptor(e.cluster.RESTConfig().CAData))
}

// plainWay is adapter to sink.
func (e *bed) plainWay(b *testing.B) *way {
	b.Helper()
	namespace := e.newNamespace(b)
	e.apply(b, namespace, filepath.Join("testdata", "plain.yaml"))
	url, _ := e.startSink(b, namespace, "plain")
	w := e.newWay(b, namespace, url)
	w.mark = "bench/version"
	w.wanted = func(string) string { return w.repository.stream.ResourceVersion }
	return w
}

// revetWay is adapter to receiver, ledger, controller and sink.
func (e *bed) revetWay(b *testing.B) *way {
	b.Helper()
	namespace := e.newNamespace(b)
	e.listener(b, namespace)
	trigger := e.trigger(b, namespace)
	receiver := e.startReceiver(b)
	e.startController(b, maxConcurrent)
	e.awaitReady(b, trigger)
	w := e.newWay(b, namespace, receiver.url)
	w.mark = v1alpha1.DigestAnnotation
	w.wanted = func(digest string) string { return digest }
	return w
}

// listener serves the EventListener of triggers/ in a namespace.
func (e *bed) listener(b *testing.B, namespace string) *process {
	b.Helper()
	for _, pattern := range []string{"500-*.yaml", "600-*.yaml", "700-*.yaml"} {
		e.apply(b, namespace, filepath.Join(root, "triggers", pattern))
	}
	_, sink := e.startSink(b, namespace, "scan-and-validate")
	return sink
}

// trigger makes an ImageTrigger of all streams of a namespace, and what it needs but for its sink.
func (e *bed) trigger(b *testing.B, namespace string) *v1alpha1.ImageTrigger {
	b.Helper()
	return e.namedTrigger(b, namespace, "vet", &v1alpha1.ImageStreamSelector{})
}

func (e *bed) namedTrigger(b *testing.B, namespace, name string, streams *v1alpha1.ImageStreamSelector) *v1alpha1.ImageTrigger {
	b.Helper()
	e.create(b, &nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: "kata"}, Handler: "kata"})
	e.apply(b, namespace, filepath.Join("testdata", "reader.yaml"))
	trigger := &v1alpha1.ImageTrigger{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.ImageTriggerSpec{
			Images:        []v1alpha1.ImageSelector{{ImageStreams: streams}},
			Sink:          v1alpha1.Sink{Ref: &v1alpha1.SinkRef{Name: "scan-and-validate"}},
			Sandbox:       v1alpha1.Sandbox{RuntimeClassName: "kata"},
			Freshness:     &metav1.Duration{},
			MaxConcurrent: maxConcurrent,
		},
	}
	e.create(b, trigger)
	return trigger
}

func (e *bed) awaitReady(b *testing.B, trigger *v1alpha1.ImageTrigger) {
	b.Helper()
	eventually(b, startPatience, "the ImageTrigger is ready", func() error {
		if err := e.admin.Get(b.Context(), client.ObjectKeyFromObject(trigger), trigger); err != nil {
			return err
		}
		if ready := meta.FindStatusCondition(trigger.Status.Conditions, v1alpha1.ConditionReady); !trigger.IsReady() {
			return fmt.Errorf("it says %+v", ready)
		}
		return nil
	})
}

// served is a program of Revet's. A controller has no url.
type served struct {
	*process
	url, metrics string
}

func (e *bed) startReceiver(b *testing.B) served {
	address, answers := freeAddress(b), freeAddress(b)
	s := e.startRevet(b, "receiver", e.programs.receiver, "-address="+address, "-interceptor-address="+answers, "-drain-delay=0s")
	s.url = "http://" + address
	if err := rig.AnswerAt(b.Context(), e.admin, answers); client.IgnoreNotFound(err) != nil { // without a listener nobody asks
		b.Fatal(err)
	}
	return s
}

// startController starts a controller that allows so many runs at once.
func (e *bed) startController(b *testing.B, most int) served {
	return e.startRevet(b, "controller", e.programs.controller, "-identity=bench", fmt.Sprintf("-max-concurrent=%d", most))
}

func (e *bed) startRevet(b *testing.B, name, program string, args ...string) served {
	b.Helper()
	account, err := e.account(systemNamespace, name)
	if err != nil {
		b.Fatal(err)
	}
	health, metrics := freeAddress(b), freeAddress(b)
	p := start(b, name, program, []string{"SYSTEM_NAMESPACE=" + systemNamespace, "K_SINK=", "GOMEMLIMIT=" + memoryLimit(b, name)},
		append(args, "-health-address="+health, "-metrics-address="+metrics, "-kubeconfig="+account)...)
	p.await(b, "http://"+health+"/readyz")
	return served{process: p, metrics: "http://" + metrics + "/metrics"}
}

// memoryLimit is the limit of a program's memory in config/, which bounds its garbage too.
func memoryLimit(b *testing.B, program string) string {
	b.Helper()
	files, err := filepath.Glob(filepath.Join(root, "config", "6*-"+program+".yaml"))
	if err != nil || len(files) != 1 {
		b.Fatalf("config/ has %d manifests of the %s: %v", len(files), program, err)
	}
	manifest, err := os.ReadFile(files[0])
	if err != nil {
		b.Fatal(err)
	}
	found := regexp.MustCompile(`limits:\n\s+memory: (\d+)Mi\n`).FindSubmatch(manifest)
	if found == nil {
		b.Fatalf("%s sets no limit of memory", files[0])
	}
	return string(found[1]) + "MiB"
}

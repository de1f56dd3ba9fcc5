package intake

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/metric/noop"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/kube"
	"github.com/revet-dev/revet/pkg/ledger"
	"github.com/revet-dev/revet/pkg/source"
	"github.com/revet-dev/revet/pkg/source/openshift"
	"github.com/revet-dev/revet/pkg/source/registry/webhook"
)

const testHost = "registry.example.com"

var (
	testEpoch   = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	errNotThere = &source.Refusal{Reason: source.NotFound, Err: errors.New("no such tag")}
	runs        = image.Content{}
)

// fixture is an Intake over a real ledger, a registry and an API server that change as time
// passes. Time passes only while the Intake sleeps.
type fixture struct {
	t      *testing.T
	intake *Intake
	client client.Client
	logs   *observer.ObservedLogs

	mu      sync.Mutex
	elapsed time.Duration
	looks   int
	// head and content are what the registry shows an account.
	head    func(elapsed time.Duration, tag string, as source.Account) (image.Digest, error)
	content func(elapsed time.Duration, ref image.Reference) (image.Content, error)
	// tagged is what a GET by the tag shows; nil is what head shows.
	tagged func(elapsed time.Duration, tag string, as source.Account) (image.Digest, error)
	// stream and image are what the API server shows.
	stream *openshift.StreamState
	image  openshift.ImageState
	// mayGet says what an account may, and asked lists who was asked about.
	mayGet func(context.Context, source.Account) (bool, error)
	asked  []source.Account
	// writing is called before an entry is written for a trigger.
	writing func(*v1alpha1.ImageVerification) error
	// reads counts the re-reads of streams, and reading is called for each.
	reads   int
	reading func()
	// asleep is called for each pause.
	asleep func(ctx context.Context, d time.Duration) error
}

func newFixture(t *testing.T, triggers ...*v1alpha1.ImageTrigger) *fixture {
	t.Helper()
	scheme, err := kube.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t}
	f.client = fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(&v1alpha1.ImageVerification{}).
		WithInterceptorFuncs(interceptor.Funcs{Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			o.SetUID(types.UID(o.GetName())) // as the API server does
			f.mu.Lock()
			writing := f.writing
			f.mu.Unlock()
			if e, ok := o.(*v1alpha1.ImageVerification); ok && writing != nil {
				if err := writing(e); err != nil {
					return err
				}
			}
			return c.Create(ctx, o, opts...)
		}}).Build()
	instruments, err := NewMetrics(noop.Meter{})
	if err != nil {
		t.Fatal(err)
	}
	set := NewTriggers(func(_ *v1alpha1.ImageTrigger, err error) { t.Error(err) })
	for _, trigger := range triggers {
		set.Handler().OnAdd(trigger, true)
	}
	core, logs := observer.New(zap.DebugLevel)
	f.logs = logs
	f.content = func(time.Duration, image.Reference) (image.Content, error) { return runs, nil }
	f.intake = New(Dependencies{
		Triggers: set, Namespaces: f, Cluster: f, Registry: f, Ledger: ledger.New(f.client, ledger.NewIndex(f.now)), Metrics: instruments,
		Log: zap.New(core), Now: f.now, Sleep: f.sleep, RegistryTimeout: time.Minute,
	})
	return f
}

func (f *fixture) now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return testEpoch.Add(f.elapsed)
}

func (f *fixture) sleep(ctx context.Context, d time.Duration) error {
	f.mu.Lock()
	f.elapsed += d
	asleep := f.asleep
	f.mu.Unlock()
	if asleep != nil {
		return asleep(ctx, d)
	}
	return ctx.Err()
}

func (f *fixture) Head(_ context.Context, _ image.Repository, tag string, as source.Account) (image.Digest, error) {
	f.mu.Lock()
	f.looks++
	head, elapsed := f.head, f.elapsed
	f.mu.Unlock()
	return head(elapsed, tag, as)
}

// Tagged shows what Head shows, unless the HEAD of the registry is odd.
func (f *fixture) Tagged(_ context.Context, _ image.Repository, tag string, _ image.Digest, as source.Account) (image.Digest, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.tagged != nil {
		return f.tagged(f.elapsed, tag, as)
	}
	return f.head(f.elapsed, tag, as)
}

func (f *fixture) Content(_ context.Context, ref image.Reference, _ source.Account) (image.Content, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.content(f.elapsed, ref)
}

func (f *fixture) Stream(context.Context, string, string) (*openshift.StreamState, error) {
	f.mu.Lock()
	f.reads++
	reading := f.reading
	f.mu.Unlock()
	if reading != nil {
		reading()
	}
	return f.stream, nil
}

func zapReason(r Reason) zap.Field { return zap.String("reason", string(r)) }

func (f *fixture) Image(context.Context, image.Digest) (openshift.ImageState, error) {
	return f.image, nil
}

// MayGet answers yes unless the test says otherwise.
func (f *fixture) MayGet(ctx context.Context, a source.Account, _, _ string) (bool, error) {
	f.mu.Lock()
	f.asked = append(f.asked, a)
	mayGet := f.mayGet
	f.mu.Unlock()
	if mayGet == nil {
		return true, nil
	}
	return mayGet(ctx, a)
}

// Labels shows no labels of any namespace.
func (f *fixture) Labels(context.Context, string) (map[string]string, error) { return nil, nil }

// notify sends a notification of one tag: repository path, tag and claimed digest.
func (f *fixture) notify(path, tag string, claimed image.Digest) Result {
	return f.intake.Notification(f.t.Context(), Endpoint{Host: testHost, Allows: func(string) bool { return true }},
		[]webhook.Hint{{ClaimedPath: path, Tag: tag, ClaimedDigest: claimed}})
}

// ledger lists what is recorded, as "trigger tag@digest sequence".
func (f *fixture) ledger() []string {
	f.t.Helper()
	var list v1alpha1.ImageVerificationList
	if err := f.client.List(context.Background(), &list); err != nil {
		f.t.Fatal(err)
	}
	all := []string{}
	for i := range list.Items {
		for _, tag := range list.Items[i].Tags() {
			all = append(all, fmt.Sprintf("%s %s@%s %d", list.Items[i].Spec.Trigger.Name, tag.Tag, list.Items[i].Spec.Digest[7:9], tag.Sequence))
		}
	}
	slices.Sort(all)
	return all
}

// registryTrigger selects the repositories that match a pattern.
func registryTrigger(namespace, pattern string) *v1alpha1.ImageTrigger {
	return &v1alpha1.ImageTrigger{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: namespace, UID: types.UID(namespace), CreationTimestamp: metav1.NewTime(testEpoch)},
		Spec:       v1alpha1.ImageTriggerSpec{Images: []v1alpha1.ImageSelector{{Repository: testHost + "/" + pattern}}},
	}
}

// showing returns a head that is the digests' last one whose time has come.
func showing(steps ...any) func(time.Duration, string, source.Account) (image.Digest, error) {
	return func(elapsed time.Duration, _ string, _ source.Account) (d image.Digest, err error) {
		err = errNotThere
		for i := 0; i < len(steps); i += 2 {
			if elapsed >= steps[i].(time.Duration) {
				d, err = steps[i+1].(image.Digest), nil
			}
		}
		return d, err
	}
}

func digestOf(t *testing.T, first string) image.Digest {
	t.Helper()
	d, err := image.ParseDigest("sha256:" + first + strings.Repeat("0", 64-len(first)))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// users returns how many hold a name or wait for it.
func (l *locks) users(name string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held[name] == nil {
		return 0
	}
	return l.held[name].users
}

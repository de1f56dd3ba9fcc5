package imageverification_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/controller/imageverification"
	"github.com/revet-dev/revet/pkg/tekton"
)

// stubListener stands for an EventListener: it answers 202, and creates the
// PipelineRun that its template makes of the request. It is not Tekton's.
type stubListener struct {
	server *httptest.Server
	client client.Client

	mu       sync.Mutex
	requests []string // the runs asked for
	answer   int
	after    string // Retry-After
	make     func(run, entryUID, digest string) *pipelinev1.PipelineRun
}

func newStubListener(t *testing.T, c client.Client) *stubListener {
	l := &stubListener{client: c, answer: http.StatusAccepted, make: templated}
	l.server = httptest.NewServer(l)
	t.Cleanup(l.server.Close)
	return l
}

func templated(run, entryUID, digest string) *pipelinev1.PipelineRun {
	return &pipelinev1.PipelineRun{ObjectMeta: metav1.ObjectMeta{
		Namespace: namespace, Name: run,
		Labels:      map[string]string{v1alpha1.RunLabel: run},
		Annotations: map[string]string{v1alpha1.EntryUIDAnnotation: entryUID, v1alpha1.DigestAnnotation: digest},
	}}
}

func (l *stubListener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Run      string
		EntryUID string
		Image    struct{ Digest string }
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	l.mu.Lock()
	l.requests = append(l.requests, body.Run)
	answer, make := l.answer, l.make
	l.mu.Unlock()
	if pr := make(body.Run, body.EntryUID, body.Image.Digest); pr != nil && answer < 300 {
		if err := l.client.Create(r.Context(), pr); err != nil && !apierrors.IsAlreadyExists(err) {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	}
	if l.after != "" {
		w.Header().Set("Retry-After", l.after)
	}
	w.WriteHeader(answer)
}

func (l *stubListener) set(answer int, make func(run, entryUID, digest string) *pipelinev1.PipelineRun) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answer, l.make = answer, make
}

func (l *stubListener) asked() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.requests)
}

type stubFacts struct {
	mu    sync.Mutex
	image imageverification.Image
	err   error
	reads int
}

func (f *stubFacts) Read(context.Context, *v1alpha1.ImageTrigger, *v1alpha1.ImageVerification, []string) (*imageverification.Image, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reads++
	if f.err != nil {
		return nil, f.err
	}
	img := f.image
	return &img, nil
}

// stubEmitter tells of each phase once.
type stubEmitter struct {
	mu   sync.Mutex
	sent []string
	err  error
}

func (s *stubEmitter) Emit(_ context.Context, e *v1alpha1.ImageVerification) ([]string, error) {
	key := fmt.Sprintf("%s-%d", e.Status.Phase, e.Status.RunCount)
	if slices.Contains(e.Status.Emitted, key) {
		return nil, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return nil, s.err
	}
	s.sent = append(s.sent, key)
	return []string{key}, nil
}

// pending reports whether the phase was not told yet.
func (s *stubEmitter) pending(e *v1alpha1.ImageVerification) bool {
	return !slices.Contains(e.Status.Emitted, fmt.Sprintf("%s-%d", e.Status.Phase, e.Status.RunCount))
}

// informers holds what the controller's cache would: the transforms are the real ones.
type informers struct {
	client.Reader
	trim func(any) (any, error)
}

func (i *informers) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	if err := i.Reader.Get(ctx, key, o, opts...); err != nil {
		return err
	}
	switch o := o.(type) {
	case *v1alpha1.ImageVerification:
		return trimInto(o, i.trim)
	case *pipelinev1.PipelineRun:
		return trimInto(o, tekton.TrimRun)
	default:
		return nil
	}
}

func (i *informers) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	if err := i.Reader.List(ctx, list, opts...); err != nil {
		return err
	}
	if entries, ok := list.(*v1alpha1.ImageVerificationList); ok {
		for n := range entries.Items {
			if err := trimInto(&entries.Items[n], i.trim); err != nil {
				return err
			}
		}
	}
	return nil
}

func trimInto[T any](o *T, trim func(any) (any, error)) error {
	trimmed, err := trim(o)
	if err != nil {
		return err
	}
	*o = *trimmed.(*T)
	return nil
}

type alwaysLeads struct{}

func (alwaysLeads) Hold(ctx context.Context, _ types.NamespacedName) (context.Context, func(), bool) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	return ctx, cancel, true
}

type stubQueue struct {
	mu   sync.Mutex
	keys []types.NamespacedName
}

func (q *stubQueue) EnqueueKey(key types.NamespacedName) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.keys = append(q.keys, key)
}

func (q *stubQueue) take() []types.NamespacedName {
	q.mu.Lock()
	defer q.mu.Unlock()
	keys := q.keys
	q.keys = nil
	return keys
}

// uids gives objects the UIDs and times that an API server would.
type uids struct {
	client.Client
	mu   sync.Mutex
	next int
}

func (u *uids) Create(ctx context.Context, o client.Object, opts ...client.CreateOption) error {
	u.mu.Lock()
	u.next++
	o.SetUID(types.UID(fmt.Sprintf("uid-%d", u.next)))
	u.mu.Unlock()
	o.SetCreationTimestamp(metav1.NewTime(pushed.Add(time.Second)))
	return u.Client.Create(ctx, o, opts...)
}

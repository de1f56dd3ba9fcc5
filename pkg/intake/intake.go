package intake

import (
	"context"
	"crypto/sha256"
	"strings"
	"sync"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"go.uber.org/zap"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/failpoint"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/ledger"
	"github.com/revet-dev/revet/pkg/push"
	"github.com/revet-dev/revet/pkg/recorder"
	"github.com/revet-dev/revet/pkg/source"
	"github.com/revet-dev/revet/pkg/source/openshift"
)

// Dependencies are what an Intake works with.
type Dependencies struct {
	Triggers   *Triggers
	Namespaces Namespaces
	Cluster    Cluster
	Registry   Registry
	// Remembered returns what Cluster.MayGet would without a request; known is false if it
	// would make one. Without it nothing counts as known.
	Remembered func(account source.Account, namespace, name string) (allowed, known bool)
	// IsKnown reports whether Namespaces would answer without a request. Without it every
	// namespace counts as known.
	IsKnown func(ctx context.Context, namespace string) bool
	Ledger  Ledger
	Metrics *Metrics
	Log     *zap.Logger
	Now     func() time.Time
	// Sleep waits before a tag is looked at again; nil waits by the clock.
	Sleep func(context.Context, time.Duration) error
	// RegistryTimeout bounds each read of a registry.
	RegistryTimeout time.Duration
	// RecordConcurrency is how many digests of one stream are recorded at once; 0 means
	// 8. The sender waits, so a stream with many new pushes must not take many times as
	// long as one with a single push.
	RecordConcurrency int
}

// Intake handles events and notifications. It is safe for concurrent use.
type Intake struct {
	Dependencies
	recorder *recorder.Recorder
	locks    locks   // of tags
	flights  flights // of streams
	budgets  *budgets
	senders  *budgets // of questions in vain, by address
	retries  *retries
	// reported is what was logged and counted.
	reported *recent[[sha256.Size]byte]
	patience *patience
}

// New returns an Intake.
func New(d Dependencies) *Intake {
	if d.Sleep == nil {
		d.Sleep = sleep
	}
	return &Intake{
		Dependencies: d,
		recorder:     recorder.New(recorder.Dependencies{Ledger: d.Ledger, Metrics: d.Metrics.Metrics, Log: d.Log, Now: d.Now}),
		reported:     newRecent[[sha256.Size]byte](maxReported),
		patience:     newPatience(d.Now),
		budgets:      newBudgets(d.Now),
		senders:      newBudgets(d.Now),
		retries:      newRetries(d.Now),
	}
}

// Run tries again what was put off until the context ends. Without it that is left to sweeps.
func (i *Intake) Run(ctx context.Context) { i.retries.run(ctx) }

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Cluster reads from the API server, never from a cache. Its errors may pass.
type Cluster interface {
	// Stream returns nil for an ImageStream that does not exist.
	Stream(ctx context.Context, namespace, name string) (*openshift.StreamState, error)
	// Image returns what the Image object of a digest shows; the zero value if
	// there is none.
	Image(ctx context.Context, d image.Digest) (openshift.ImageState, error)
	// MayGet reports whether an account may get an ImageStream.
	MayGet(ctx context.Context, account source.Account, namespace, name string) (bool, error)
}

// Namespaces returns a namespace's labels; none for one that does not exist. Its errors may
// pass.
type Namespaces interface {
	Labels(ctx context.Context, namespace string) (map[string]string, error)
}

// Registry reads from registries with an account's credentials. A *source.Refusal lasts
// until somebody changes something; any other error may pass.
type Registry interface {
	// Head returns the digest that the registry claims for a tag.
	Head(ctx context.Context, r image.Repository, tag string, as source.Account) (image.Digest, error)
	// Tagged returns the digest of what a tag points to, recomputed from the bytes; claimed
	// is what Head returned.
	Tagged(ctx context.Context, r image.Repository, tag string, claimed image.Digest, as source.Account) (image.Digest, error)
	// Content reads a manifest by digest and recomputes the digest.
	Content(ctx context.Context, ref image.Reference, as source.Account) (image.Content, error)
}

// Ledger says what is covered, and records what is not.
type Ledger interface {
	Known(trigger *v1alpha1.ImageTrigger, r push.Repository) ledger.Coverage
	recorder.Ledger
}

// knownTypes is the prefix of the event types that Revet decodes.
const knownTypes = "dev.knative.apiserver."

// ownTypes are the prefixes of the types of events that Revet or a pipeline caused. A Broker
// delivers these to the receiver again, and would do so until their time to live ends.
var ownTypes = []string{"dev.revet.", "dev.cdevents.", "dev.tekton.event."}

// PassOver returns why Revet does not decode events of a type; "" for a type that it decodes.
func PassOver(eventType string) Reason {
	if strings.HasPrefix(eventType, knownTypes) {
		return ""
	}
	for _, own := range ownTypes {
		if strings.HasPrefix(eventType, own) {
			return OwnEvent
		}
	}
	return UnknownType
}

// Event handles one CloudEvent. From is its sender's address.
func (i *Intake) Event(ctx context.Context, from string, e *cloudevents.Event) Result {
	if reason := PassOver(e.Type()); reason != "" {
		return Handled(KindOther, reason)
	}
	obs, err := openshift.Decode(e)
	if err != nil {
		return Result{Status: Refused, Reason: Undecodable, Kind: KindOther, Err: err}
	}
	failpoint.Hit("intake.decoded")
	switch {
	case obs.Ignored == openshift.UnknownType:
		return Handled(KindOther, UnknownType)
	case obs.Ignored != "":
		return Handled(KindOther, UnknownKind)
	case obs.Object.Kind == openshift.Image:
		return Handled(KindImage, ImageEvent)
	case obs.Verb == openshift.Delete:
		return Handled(KindStream, Deleted)
	default:
		return i.stream(ctx, from, obs)
	}
}

// locks hold one lock for each name that is in use.
type locks struct {
	mu   sync.Mutex
	held map[string]*nameLock
}

type nameLock struct {
	token chan struct{}
	users int
}

// lock waits for the name, or for the end of ctx. What was known before may be out of
// date then, also if it did not have to wait: who held the name may have left it
// between the two.
func (l *locks) lock(ctx context.Context, name string) (unlock func(), err error) {
	l.mu.Lock()
	if l.held == nil {
		l.held = map[string]*nameLock{}
	}
	n, held := l.held[name]
	if !held {
		n = &nameLock{token: make(chan struct{}, 1)}
		l.held[name] = n
	}
	n.users++
	l.mu.Unlock()

	select {
	case n.token <- struct{}{}:
		return func() { <-n.token; l.leave(name, n) }, nil
	case <-ctx.Done():
		l.leave(name, n)
		return nil, ctx.Err()
	}
}

func (l *locks) leave(name string, n *nameLock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n.users--; n.users == 0 {
		delete(l.held, name)
	}
}

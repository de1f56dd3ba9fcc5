package imagegate

import (
	"context"
	"fmt"
	"math"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/gate"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/running"
)

// sight is one gate in one census.
type sight struct {
	*v1alpha1.ImageGate
	scope Scope
	// findings are what the gate concluded about digests, so that the Pods of one census are
	// judged alike, at most maxFindings.
	findings map[image.Digest]gate.Finding
	// gated reports whether a namespace is known to be gated.
	gated func(namespace string) bool
	// lost is true if this process stopped leading the gate meanwhile.
	lost bool
}

// maxFindings bounds what is remembered of one census besides its result. Whoever makes Pods says
// how many digests they name.
const maxFindings = 20_000

// censusResult is what became of a census. The zero value is a failure.
type censusResult int

const (
	// censusFailed: it failed for some gate at least.
	censusFailed censusResult = iota
	censusTaken
	// nothingLed: this process leads no gate.
	nothingLed
)

// census lists all Pods once, and judges them for every gate that this process leads by its
// present spec.
func (o *Observer) census(ctx context.Context) censusResult {
	ctx, cancel := context.WithTimeout(ctx, censusTimeout)
	defer cancel()
	scopes := o.led()
	if len(scopes) == 0 {
		return nothingLed
	}
	sights, gates, complete := o.sights(ctx, scopes)
	if len(gates) == 0 {
		return censusFailed
	}
	censuses, err := running.Count(ctx, o.Live, gates, o.Now)
	if err != nil {
		if ctx.Err() == nil {
			o.Log.Warn("listing the Pods behind gates failed", zap.Error(err))
		}
		for _, s := range sights {
			o.failed(s.Name, err)
		}
		return censusFailed
	}
	now := o.Scopes()
	for i, s := range sights {
		if scope, leads := now[s.Name]; s.lost || !leads || scope.Generation != s.scope.Generation || scope.UID != s.scope.UID {
			complete = false
			continue
		}
		o.observe(ctx, s, &censuses[i])
	}
	if !complete {
		return censusFailed
	}
	return censusTaken
}

// sights prepares the gates whose present spec the reconciler judges by.
func (o *Observer) sights(ctx context.Context, scopes map[string]Scope) (sights []*sight, gates []running.Gate, complete bool) {
	namespaces, err := o.namespaces(ctx)
	if err != nil {
		o.Log.Warn("listing namespaces failed", zap.Error(err))
		return nil, nil, false
	}
	complete = true
	for name, scope := range scopes {
		s := &sight{ImageGate: &v1alpha1.ImageGate{}, scope: scope, findings: map[image.Digest]gate.Finding{}}
		err := o.Cached.Get(ctx, client.ObjectKey{Name: name}, s.ImageGate)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil || s.UID != scope.UID || s.Generation != scope.Generation {
			complete = false // the reconciler has not followed the spec yet
			continue
		}
		view, err := o.view(s, namespaces)
		if err != nil {
			o.failed(name, err)
			complete = false
			continue
		}
		sights, gates = append(sights, s), append(gates, view)
	}
	return sights, gates, complete
}

// view is the gate as a census needs it.
func (o *Observer) view(s *sight, namespaces map[string]labels.Set) (running.Gate, error) {
	selector, err := metav1.LabelSelectorAsSelector(&s.Spec.NamespaceSelector)
	if err != nil {
		return running.Gate{}, fmt.Errorf("spec.namespaceSelector: %w", err)
	}
	exempt, err := gate.ExemptionsOf(s.ImageGate)
	if err != nil {
		return running.Gate{}, err
	}
	s.gated = func(namespace string) bool {
		set, known := namespaces[namespace]
		return known && selector.Matches(set) && !s.scope.Has(namespace)
	}
	now := o.Now()
	return running.Gate{
		Name: s.Name,
		// A namespace that the cache does not show yet may be gated: its labels are not known.
		Selects: func(namespace string) bool {
			set, known := namespaces[namespace]
			return (!known || selector.Matches(set)) && !s.scope.Has(namespace)
		},
		IsExempt: func(reference string) bool { return exempt.Match(reference, now) },
		Judge: func(d image.Digest) gate.Finding {
			f, known := s.findings[d]
			if !known {
				leads := false
				if f, leads = o.Judge(s.Name, d.String()); !leads {
					s.lost = true
				}
				if len(s.findings) < maxFindings {
					s.findings[d] = f
				}
			}
			return f
		},
	}, nil
}

// namespaces returns the labels of all namespaces.
func (o *Observer) namespaces(ctx context.Context) (map[string]labels.Set, error) {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	if err := o.Cached.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing namespaces: %w", err)
	}
	all := make(map[string]labels.Set, len(list.Items))
	for i := range list.Items {
		all[list.Items[i].Name] = list.Items[i].Labels
	}
	return all, nil
}

// failed notes that nobody knows now what runs behind a gate.
func (o *Observer) failed(name string, err error) {
	o.mu.Lock()
	s := o.gates[name]
	if s != nil {
		s.report.Problem = err.Error()
	}
	o.mu.Unlock()
	if s != nil {
		o.Changed(name)
	}
}

// observe takes over a complete census, and tells of what turned since the last.
func (o *Observer) observe(ctx context.Context, s *sight, c *running.Census) {
	seen := map[string]time.Time{}
	for d, place := range c.Digests {
		if passed(c.Findings[d]) && s.gated(place.Pod.Namespace) {
			seen[hexOf(d.String())] = c.At
		}
	}
	o.mu.Lock()
	kept := o.gates[s.Name]
	if kept == nil || kept.uid != s.UID {
		o.mu.Unlock()
		return
	}
	room := math.MaxInt
	if o.Turns != nil {
		room = max(maxTurns-len(kept.turns.outbox), 0)
	}
	turns := kept.turns.take(s, c, room)
	kept.report.Generation = s.Generation
	kept.report.Running = c.Status()
	kept.report.Refused = c.Refused(s.Spec.OnExpired == v1alpha1.ExpiredDeny)
	kept.report.Problem = ""
	kept.report.Seen = seen
	o.mu.Unlock()
	o.tell(ctx, s, turns)
	o.Changed(s.Name)
}

// passed reports whether a digest passed, be it long ago. Only such digests count as having
// run here: an old failure counts as expired too.
func passed(f gate.Finding) bool {
	return (f.Standing == gate.Verified || f.Standing == gate.Expired) &&
		f.Verdict != nil && f.Verdict.Outcome == v1alpha1.OutcomePass
}

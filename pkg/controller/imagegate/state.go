package imagegate

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/gate"
)

// state is what the process that leads a gate keeps of it between passes.
type state struct {
	uid types.UID

	// What handlers touch is behind mu; the rest belongs to the one pass at a time.
	mu sync.Mutex
	// touched are digests of which the ledger says something else since the last pass.
	touched map[string]struct{}
	// all is true if every digest has to be judged anew.
	all bool
	// rules are those of the last pass with a valid spec.
	rules   gate.Rules
	trusted map[v1alpha1.TrustedTrigger]bool
	judging bool
	// scope is what the rules go with.
	scope *Scope
	// versions are the resourceVersions of VerifiedImages that watches brought; "" is gone.
	versions map[string]string

	// spec is the last valid one.
	spec    *v1alpha1.ImageGateSpec
	key     string // of the rules
	desired *gate.Desired
	// divisions that are kept: the wanted one, and one that has not gone yet.
	divisions map[gate.Shards]*division
	tags      tagsObject
	// pinned are the tags as concluded last. They are concluded again if something was
	// touched, and not before tagsNext.
	pinned      gate.PinnedTags
	tagsTouched bool
	tagsNext    time.Time
	tagsKey     string // of what the spec says of tags
	// expiryLooked is when the gate was last searched for expired digests.
	expiryLooked time.Time
	// looked is when everything was last compared with what is written.
	looked time.Time
	// accepted says what was last written of policies and bindings, by kind and name.
	accepted map[string]accepted
	// wrote is when a policy or a binding was last written; zero if this process wrote none.
	wrote time.Time
	// removed are the UIDs of objects that were deleted, which the watch may still show.
	removed map[types.UID]bool
	// leaving says since when objects are not looked up any more.
	leaving map[objectKey]time.Time
	// proven is when the policies of a division were first seen to refuse, by its number.
	proven map[gate.Shards]time.Time
	// compiled are the policies of the last spec and surroundings.
	compiled    map[gate.Shards][]client.Object
	compiledFor string
}

// accepted is a write that the API server took.
type accepted struct {
	hash       string
	uid        types.UID
	generation int64
	// until is how long the watch may take to bring it.
	until time.Time
}

func newState(g *v1alpha1.ImageGate) *state {
	return &state{
		uid: g.UID, all: true, touched: map[string]struct{}{}, versions: map[string]string{},
		divisions: map[gate.Shards]*division{}, accepted: map[string]accepted{}, proven: map[gate.Shards]time.Time{},
		removed: map[types.UID]bool{}, leaving: map[objectKey]time.Time{},
	}
}

// touch notes digests to judge again if the gate trusts the trigger, and reports whether
// it does.
func (s *state) touch(t v1alpha1.TrustedTrigger, digests []string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.judging && !s.trusted[t] {
		return false
	}
	for _, hex := range digests {
		s.touched[hex] = struct{}{}
	}
	return true
}

// touchAll has all digests judged again if the gate trusts the trigger.
func (s *state) touchAll(t v1alpha1.TrustedTrigger) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.judging && !s.trusted[t] {
		return false
	}
	s.all = true
	return true
}

// take returns what to judge again, and starts over. The touched digests that a failing pass
// has taken are covered by all.
func (s *state) take() (touched map[string]struct{}, all bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	touched, all = s.touched, s.all
	s.touched, s.all = map[string]struct{}{}, false
	return touched, all
}

func (s *state) setRules(r gate.Rules, trusted map[v1alpha1.TrustedTrigger]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules, s.trusted, s.judging = r, trusted, true
}

func (s *state) judges() (gate.Rules, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rules, s.judging
}

// setScope notes that the gate judges by a spec now, and which namespaces it leaves alone.
func (s *state) setScope(scope Scope) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scope = &scope
}

// sawVersion notes the version of a VerifiedImages that a watch brought.
func (s *state) sawVersion(name, version string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.versions[name] = version
}

func (s *state) version(name string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.versions[name]
	return v, ok
}

package integration

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/app"
	gates "github.com/revet-dev/revet/pkg/gate"
)

// fewDigests is above how many digests gates divide them here.
const fewDigests = 16

// guard tries Pods until the test ends: one that must always start, and one that must not.
type guard struct {
	mu    sync.Mutex
	tries int
	wrong []string
}

// unknownTag is one that nobody pushed.
const unknownTag = "r.example.com/app:unknown"

// watchOver begins to try Pods of a gate that is in force.
func (s *gateSetup) watchOver(verified, unknown string) *guard {
	s.t.Helper()
	// Each policy is in force once the API server has taken it up.
	s.refuses(unknown)
	s.refusesImage(unknownTag)
	g := &guard{}
	stop, done := make(chan struct{}), make(chan struct{})
	note := func(wrong string) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.tries++
		if wrong != "" && len(g.wrong) < 10 {
			g.wrong = append(g.wrong, time.Now().Format(time.TimeOnly)+" "+wrong)
		}
	}
	go func() {
		defer close(done)
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			if err := s.start(at(verified)); errors.IsForbidden(err) || errors.IsInvalid(err) {
				note("a verified digest was refused: " + err.Error())
			} else {
				note("")
			}
			for _, image := range []string{at(unknown), unknownTag} {
				if err := s.start(image); err == nil {
					note(image + " was admitted")
				}
			}
		}
	}()
	s.t.Cleanup(func() {
		close(stop)
		<-done
	})
	return g
}

// never fails the test if the guard saw anything wrong.
func (g *guard) never(t *testing.T) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.tries == 0 {
		t.Error("no Pod was tried")
	}
	for _, wrong := range g.wrong {
		t.Error(wrong)
	}
}

// fill records a number of verified digests, and returns them.
func (s *gateSetup) fill(prefix string, number int) []string {
	s.t.Helper()
	digests := make([]string, 0, number)
	for i := range number {
		digest := digestOf(s.name, prefix, i)
		s.record(prefix+strconv.Itoa(i), digest, v1alpha1.OutcomePass, 0)
		digests = append(digests, digest)
	}
	return digests
}

// divided waits until a number of objects hold the gate's digests, and nothing else is left.
func (s *gateSetup) divided(shards int32, digests int64) {
	s.t.Helper()
	// Two divisions stay in force together for ten seconds, and what the old one looks up
	// stays for ten more; in programs with failpoints for less.
	within(s.t, 2*time.Minute, fmt.Sprintf("the gate has %d shards", shards), func() error {
		g, err := s.read()
		if err != nil {
			return err
		}
		maps, err := s.maps()
		if err != nil {
			return err
		}
		if g.Status.Shards != shards || g.Status.Digests != digests || len(maps) != int(shards)+1 {
			return fmt.Errorf("there are %d objects: %+v", len(maps), g.Status)
		}
		return nil
	})
}

func dividing(o *app.ControllerOptions) { o.GateSplit = fewDigests }

// Property: while a gate goes from one object to sixteen and back, no Pod is refused that
// should start, and none starts that should not.
func TestAGateIsDividedWithoutAGap(t *testing.T) {
	ownCluster(t)
	s := newGateSetup(t)
	startController(t, "gates", dividing)
	few := s.fill("few", 8)
	s.gate()
	s.enforced()
	s.divided(1, 8)
	s.admits(few[0])
	s.refuses(digestOf(s.name, "unknown"))
	g := s.watchOver(few[0], digestOf(s.name, "unknown"))

	many := s.fill("many", 40)
	s.divided(16, 48)
	s.enforced()
	for _, digest := range append(few, many...) {
		if err := s.start(at(digest)); err != nil {
			t.Errorf("%s: %v", digest, err)
		}
	}
	for i := range many {
		e := &v1alpha1.ImageVerification{}
		e.Namespace, e.Name = s.ledger, "many"+strconv.Itoa(i)
		if err := s.admin.Delete(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	s.divided(1, 8)
	s.refuses(many[0])
	g.never(t)
}

// Property: kill -9 between any two steps of dividing a gate leaves no Pod refused that
// should start and none started that should not, and the next process ends the work.
func TestKillWhileAGateIsDivided(t *testing.T) {
	// It is not parallel, but its subtests are: what takes longest goes first.
	for _, failpoint := range []string{
		"gate.made.VerifiedImages", "gate.made.ValidatingAdmissionPolicy", "gate.made.ValidatingAdmissionPolicyBinding",
		"gate.policies-written", "gate.canaries-made", "gate.proven",
		"gate.removed.ValidatingAdmissionPolicyBinding", "gate.removed.ValidatingAdmissionPolicy", "gate.removed.VerifiedImages",
	} {
		t.Run(failpoint, func(t *testing.T) {
			ownCluster(t)
			controller := newProgram(t, buildPrograms(t, "controller"), "controller",
				"--health-address", "127.0.0.1:0", "--identity", "killed", "--gate-split", strconv.Itoa(fewDigests))
			s := newGateSetup(t)
			few := s.fill("few", 8)
			first := controller.start(t, "")
			s.gate()
			s.enforced()
			s.divided(1, 8)
			s.admits(few[0])
			s.refuses(digestOf(s.name, "unknown"))
			first.stop()
			g := s.watchOver(few[0], digestOf(s.name, "unknown"))
			s.fill("many", 30)
			controller.start(t, failpoint).killedWithin(2*time.Minute, func() {})
			controller.start(t, "")
			s.divided(16, 38)
			g.never(t)
		})
	}
}

// unproven answers for the API server that a quota keeps the controller's Pods from being made,
// as if no policy of a division were in force yet. It counts how often a division is tried.
type unproven struct {
	next   http.RoundTripper
	rounds *atomic.Int64
	asked  *atomic.Int64
}

func (u unproven) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/namespaces/"+gates.ProbeNamespace+"/pods") {
		u.asked.Add(1)
		body := `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403,"message":"exceeded quota"}`
		return &http.Response{
			Status: "403 Forbidden", StatusCode: http.StatusForbidden, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r,
		}, nil
	}
	if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/validatingadmissionpolicies") && r.Body != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if first := regexp.MustCompile(`revet-gate-[a-z0-9-]+-probe-[a-z0-9]+-0\b`); first.Match(body) {
			u.rounds.Add(1)
		}
	}
	return u.next.RoundTrip(r)
}

// trying makes a gate whose division is tried, and never seen to refuse. It returns what
// stops the controller, and counts how often a division was tried.
func trying(t *testing.T, prepare func(*gateSetup)) (s *gateSetup, rounds *atomic.Int64, stop func()) {
	t.Helper()
	s = newGateSetup(t)
	var asked atomic.Int64
	rounds = &atomic.Int64{}
	stop = startController(t, "gates", dividing, func(o *app.ControllerOptions) {
		o.Config.Wrap(func(next http.RoundTripper) http.RoundTripper { return unproven{next, rounds, &asked} })
	})
	s.gate()
	s.enforced()
	prepare(s)
	s.fill("many", fewDigests+1)
	eventually(t, "the division is tried", func() error {
		if asked.Load() == 0 {
			return fmt.Errorf("nobody tries it")
		}
		return nil
	})
	return s, rounds, stop
}

// Property: what failed leaves while the controller waits for the policies of a division.
func TestWhatFailedLeavesWhileADivisionIsTried(t *testing.T) {
	ownCluster(t)
	var entry *v1alpha1.ImageVerification
	var failed string
	s, rounds, _ := trying(t, func(s *gateSetup) {
		failed = digestOf(s.name, "failed")
		entry = s.record("failed", failed, v1alpha1.OutcomePass, 0)
		s.admits(failed)
	})
	s.conclude(entry, v1alpha1.OutcomeFail, metav1.Now())
	s.refuses(failed)
	if n := rounds.Load(); n != 1 {
		t.Errorf("the division was tried %d times before what failed left", n)
	}
}

// Property: an operator who has a gate refuse nothing more does not wait for a division,
// which is tried for up to 30 s.
func TestADivisionThatIsTriedHoldsUpNoChangeOfTheGate(t *testing.T) {
	ownCluster(t)
	s, rounds, _ := trying(t, func(*gateSetup) {})
	g := &v1alpha1.ImageGate{ObjectMeta: metav1.ObjectMeta{Name: s.name}}
	s.edit(g, func() { g.Spec.Mode, g.Spec.Force = v1alpha1.GateAudit, false })
	within(t, 25*time.Second, "the gate only audits", func() error {
		if err := s.admin.Get(t.Context(), client.ObjectKeyFromObject(g), g); err != nil {
			return err
		}
		if g.Status.Mode != v1alpha1.GateAudit {
			return fmt.Errorf("its mode is %q", g.Status.Mode)
		}
		return nil
	})
	if n := rounds.Load(); n != 1 {
		t.Errorf("the division was tried %d times", n)
	}
}

// Property: a controller stops while it tries a division.
func TestAControllerStopsWhileItTriesADivision(t *testing.T) {
	ownCluster(t)
	_, _, stop := trying(t, func(*gateSetup) {})
	stop()
}

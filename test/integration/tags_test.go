package integration

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/coverage"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/ledger"
	"github.com/revet-dev/revet/pkg/lifecycle"
	pushapi "github.com/revet-dev/revet/pkg/push"
)

// flood is one digest under many tags of 128 characters.
type flood struct {
	trigger *v1alpha1.ImageTrigger
	at      time.Time
	tags    int
}

func (f flood) push(t *testing.T, tag, digest string, second int) pushapi.Push {
	t.Helper()
	d, err := image.ParseDigest("sha256:" + strings.Repeat(digest, 64))
	if err != nil {
		t.Fatal(err)
	}
	pull, err := image.ParseRepository("registry.example.com/team/app")
	if err != nil {
		t.Fatal(err)
	}
	return pushapi.Push{
		Repository: pushapi.Repository{Kind: pushapi.ImageStream, Name: f.trigger.Namespace + "/app", UID: "stream"},
		Pull:       pull, Tag: tag, Digest: d, PushedAt: f.at.Add(time.Duration(second) * time.Second), Reason: pushapi.NewHead,
	}
}

func (flood) tag(n int) string { return fmt.Sprintf("%0128d", n) }

// observed is what a stream shows of a push.
func observed(p pushapi.Push) pushapi.Observation {
	return pushapi.Observation{Repository: p.Repository, Tag: p.Tag, Digest: p.Digest, Created: p.PushedAt, Head: true}
}

// fresh is the ledger as a process knows it that has just listed it.
func fresh(t *testing.T, namespace string, c client.Client) *ledger.Ledger {
	t.Helper()
	x := ledger.NewIndex(time.Now)
	for _, e := range entriesOf(t, namespace) {
		x.Handler().OnAdd(&e, true)
	}
	return ledger.New(c, x)
}

// size is how many bytes the API server keeps of an entry.
func size(t *testing.T, e *v1alpha1.ImageVerification) int {
	t.Helper()
	raw, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return len(raw)
}

// One digest under 5,900 tags of 128 characters: each push is recorded, and so is another one
// beside them; the entry stays far from what the API server takes, so that its verdict can be
// written; and it covers what was pushed, and nothing else.
func TestADigestOfManyTagsStaysSmallAndExact(t *testing.T) {
	ownCluster(t)
	namespace := newNamespace(t)
	trigger(t, namespace)
	config := account(t, systemNamespace, "receiver")
	config.QPS = -1
	c := clientOf(t, config)
	f := flood{trigger: triggerNamed(t, namespace, "vet"), at: time.Now().UTC().Truncate(time.Second), tags: 5900}
	l := fresh(t, namespace, c)
	f.most(t, l)
	for n := f.tags - oneByOne; n < f.tags; n++ {
		if _, err := l.Record(t.Context(), f.trigger, f.push(t, f.tag(n), "a", n), nil, v1alpha1.SourceEvent, time.Now()); err != nil {
			t.Fatalf("push %d: %v", n, err)
		}
	}
	if _, err := l.Record(t.Context(), f.trigger, f.push(t, f.tag(7), "b", f.tags), nil, v1alpha1.SourceEvent, time.Now()); err != nil {
		t.Fatalf("the push of another digest: %v", err)
	}
	entry := f.entry(t, "a")
	if s := size(t, entry); s > 400_000 || len(entry.Status.Tags) > v1alpha1.MaxTags || entry.Status.MoreTags.Forgotten > 0 {
		t.Errorf("the entry takes %d bytes, names %d tags and forgot %d", s, len(entry.Status.Tags), entry.Status.MoreTags.Forgotten)
	}
	f.exact(t, fresh(t, namespace, c))

	controller := clientOf(t, account(t, systemNamespace, "controller"))
	run := ledger.RunName(entry, 1)
	judged, err := fresh(t, namespace, controller).UpdateStatus(t.Context(), entry, func(s *v1alpha1.ImageVerificationStatus) {
		lifecycle.RecordBegin(s, v1alpha1.RunStatus{Name: run, Cause: v1alpha1.Cause{Type: v1alpha1.CausePush}}, time.Now())
		lifecycle.RecordOutcome(s, lifecycle.PipelineRun{Name: run, Finished: time.Now()},
			lifecycle.Outcome{Outcome: v1alpha1.OutcomePass, Reason: lifecycle.Passed, Digest: entry.Spec.Digest}, time.Now())
	})
	if err != nil {
		t.Fatalf("writing the verdict: %v", err)
	}
	if judged.Status.Verdict == nil || lifecycle.Undecided(judged) != nil || judged.Status.MoreTags.Open() {
		t.Errorf("the run does not cover all pushes: %+v", judged.Status.Verdict)
	}
	f.exact(t, fresh(t, namespace, c))
	report := coverage.FromStatus(f.trigger, entriesOf(t, namespace), time.Now(), time.Hour)
	if report.Pending != 1 {
		t.Errorf("%d pushes are pending, want the one of the other digest", report.Pending)
	}
	if head := fresh(t, namespace, c).Head(judged, f.tag(7)); head.Digest != "sha256:"+strings.Repeat("b", 64) {
		t.Errorf("the tag that moved on shows %s", head.Digest)
	}
}

// oneByOne is how many pushes of a flood are recorded one by one.
const oneByOne = 100

// most records the other pushes, in as few writes as a test has time for.
func (f flood) most(t *testing.T, l *ledger.Ledger) {
	t.Helper()
	first, err := l.Record(t.Context(), f.trigger, f.push(t, f.tag(0), "a", 0), nil, v1alpha1.SourceEvent, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	_, err = l.UpdateStatus(t.Context(), first.Entry, func(s *v1alpha1.ImageVerificationStatus) {
		for n := 1; n < f.tags-oneByOne; n++ {
			s.Tags = append(s.Tags, f.status(t, n))
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

// status is a push as an entry names it.
func (f flood) status(t *testing.T, n int) v1alpha1.TagStatus {
	t.Helper()
	return v1alpha1.TagStatus{PushRecord: v1alpha1.PushRecord{
		Tag: f.tag(n), PushedAt: metav1.NewTime(f.push(t, "", "a", n).PushedAt), ObservedAt: metav1.NowMicro(), Source: v1alpha1.SourceEvent,
	}}
}

// entry returns that of a digest.
func (f flood) entry(t *testing.T, digest string) *v1alpha1.ImageVerification {
	t.Helper()
	for _, e := range entriesOf(t, f.trigger.Namespace) {
		if e.Spec.Digest == "sha256:"+strings.Repeat(digest, 64) {
			return &e
		}
	}
	t.Fatalf("no entry of %s", digest)
	return nil
}

// exact holds the ledger to what was pushed.
func (f flood) exact(t *testing.T, l *ledger.Ledger) {
	t.Helper()
	known := l.Known(f.trigger, f.push(t, "", "a", 0).Repository)
	wrong := 0
	for n := range f.tags {
		recorded, later := observed(f.push(t, f.tag(n), "a", n)), observed(f.push(t, f.tag(n), "a", n+1))
		never := observed(f.push(t, f.tag(f.tags+n), "a", n))
		if !known.Covers(recorded) || known.Covers(later) || known.Covers(never) || known.Forgot(recorded) || known.Forgot(never) {
			wrong++
		}
	}
	if wrong > 0 {
		t.Errorf("of %d tags the ledger says something wrong", wrong)
	}
}

// A digest under 130 tags goes the whole way: one event, one run, and every push is counted as
// covered by who reads all anew.
func TestAllTagsOfADigestAreCoveredByItsRun(t *testing.T) {
	ownCluster(t)
	namespace, _ := verifiedNamespace(t)
	const tags = 130
	pushRunnable(t, namespace+"/web:v000")
	ref, err := name.ParseReference(clusterOf(t).Registry().Addr()+"/"+namespace+"/web:v000", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	img, err := remote.Image(ref, remote.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n < tags; n++ {
		pushImage(t, fmt.Sprintf("%s/web:v%03d", namespace, n), img)
	}
	r := receiver(t)
	// What an event takes is bounded, and a sender comes again if it was asked to.
	within(t, time.Minute, "the event is recorded", func() error {
		if code, body := send(t, r, streamNamed(t, namespace, "web")); code != http.StatusAccepted {
			return fmt.Errorf("it was answered %d %s", code, body)
		}
		return nil
	})
	startController(t, "one")
	inPhase(t, namespace, 1, v1alpha1.PhaseRunning)
	standInRuns(t, namespace, "pass", "class-"+namespace)
	inPhase(t, namespace, 1, v1alpha1.PhasePassed)
	want := coverage.Report{Namespace: namespace, Trigger: "vet", State: v1alpha1.CoverageCovered, Verified: true, Repositories: 1, Pushes: tags, Covered: tags}
	wantCoverage(t, want, 0, "--verify")
	want.Verified = false
	wantCoverage(t, want, 0)
	e := entriesOf(t, namespace)[0]
	if len(e.Status.Tags) != v1alpha1.MaxTags || e.Status.MoreTags.Total() != tags-v1alpha1.MaxTags || len(e.Status.Runs) != 1 {
		t.Errorf("the entry names %d tags, tells of %d more and has %d runs", len(e.Status.Tags), e.Status.MoreTags.Total(), len(e.Status.Runs))
	}
	if _, told := e.TagOf("v001"); !told {
		t.Error("the entry does not tell of tag v001")
	}
}

// An entry that an earlier version let grow to the limit takes a push, and its verdict.
func TestAnEntryAtTheLimitShrinks(t *testing.T) {
	ownCluster(t)
	namespace := newNamespace(t)
	trigger(t, namespace)
	c := clientOf(t, account(t, systemNamespace, "receiver"))
	f := flood{trigger: triggerNamed(t, namespace, "vet"), at: time.Now().UTC().Truncate(time.Second), tags: 3000}
	l := fresh(t, namespace, c)
	created, err := l.Record(t.Context(), f.trigger, f.push(t, f.tag(0), "a", 0), nil, v1alpha1.SourceEvent, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	entry := created.Entry
	for n := range f.tags {
		tag := f.status(t, n)
		tag.Run = int32(n % 2)
		entry.Status.Tags = append(entry.Status.Tags, tag)
	}
	if err := controllerClient(t).Status().Update(t.Context(), entry); err != nil { // as the earlier version did
		t.Fatal(err)
	}
	if s := size(t, f.entry(t, "a")); s < 1_000_000 {
		t.Fatalf("the entry takes %d bytes, which is not near the limit", s)
	}
	f.exact(t, fresh(t, namespace, c))
	l = fresh(t, namespace, c)
	p := f.push(t, f.tag(f.tags), "a", f.tags)
	if done, err := l.Record(t.Context(), f.trigger, p, nil, v1alpha1.SourceEvent, time.Now()); err != nil || done.Outcome != ledger.Updated {
		t.Fatalf("a push to the entry: %q, %v", done.Outcome, err)
	}
	f.tags++
	f.exact(t, fresh(t, namespace, c))
	if e := f.entry(t, "a"); size(t, e) > 250_000 || len(e.Status.Tags) != v1alpha1.MaxTags {
		t.Errorf("the entry takes %d bytes, and names %d tags", size(t, e), len(e.Status.Tags))
	}
}

package ledger_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/ledger"
	"github.com/revet-dev/revet/pkg/push"
)

func manual(t *testing.T) *v1alpha1.ImageVerification {
	t.Helper()
	ref, err := image.ParseReference(repo.Name + "@" + digest(1).String())
	if err != nil {
		t.Fatal(err)
	}
	e := ledger.NewManual(trigger(), ref, "v1", "jane-1", noon)
	e.UID = "entry-1"
	return e
}

// A digest that nobody pushed covers no push, and hides none.
func TestAManualEntryIsNoPush(t *testing.T) {
	c := store(t, interceptor.Funcs{})
	index := ledger.NewIndex(clock)
	l := ledger.New(c, index)
	e := manual(t)
	if err := c.Create(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	index.Handler().OnAdd(e, false)
	known := l.Known(trigger(), repo)
	if !known.Empty() || known.Seen("v1") || len(l.Repositories(trigger())) != 0 {
		t.Error("the ledger takes it for a push")
	}
	if o := (push.Observation{Repository: repo, Tag: "v1", Digest: digest(1), Created: noon, Head: true}); known.Covers(o) {
		t.Error("it covers a push of its tag")
	}
	if _, err := l.UpdateStatus(t.Context(), e, func(s *v1alpha1.ImageVerificationStatus) { s.Reason = "Requested" }); err != nil {
		t.Fatal(err)
	}
	if !known.Empty() {
		t.Error("once its status was written, the ledger takes it for a push")
	}
	if got := record(t, l, pushOf(repo, "v1", 1, noon.Add(time.Minute))).Outcome; got != ledger.Updated {
		t.Errorf("a push of the digest: outcome %q, want Updated", got)
	}
	all := entries(t, c)
	if len(all) != 1 || len(all[0].Tags()) != 1 || all[0].Tags()[0].Source != v1alpha1.SourceEvent {
		t.Errorf("the ledger is %+v, want one entry with the push", all)
	}
	if known.Empty() || !known.Seen("v1") {
		t.Error("the push is not known")
	}
}

// Property: only what a person may create counts as such; whatever differs is told apart,
// with the command that removes it.
func TestForgedEntriesAreTold(t *testing.T) {
	if got := ledger.Forged(manual(t)); got != "" {
		t.Errorf("a good entry: %q", got)
	}
	pushed := manual(t)
	pushed.Name, pushed.Spec.FirstPush.Source = "else", v1alpha1.SourceEvent
	if got := ledger.Forged(pushed); got != "" {
		t.Errorf("an entry that only Revet can have created: %q", got)
	}
	for name, change := range map[string]func(*v1alpha1.ImageVerification){
		"another name":    func(e *v1alpha1.ImageVerification) { e.Name = "web-" + strings.Repeat("a", 32) },
		"another digest":  func(e *v1alpha1.ImageVerification) { e.Spec.Digest = digest(2).String() },
		"another trigger": func(e *v1alpha1.ImageVerification) { e.Spec.Trigger.UID = "trigger-2" },
		"an incarnation":  func(e *v1alpha1.ImageVerification) { e.Spec.Repository.UID = "stream-1" },
		"an ImageStream":  func(e *v1alpha1.ImageVerification) { e.Spec.Repository.Kind = v1alpha1.RepositoryImageStream },
		"an ImageStream by its name": func(e *v1alpha1.ImageVerification) {
			e.Spec.Repository.Kind = v1alpha1.RepositoryImageStream
			e.Name = ledger.EntryName(e.Spec.Trigger.UID, ledger.RepositoryOf(e), digest(1))
		},
		"pulled elsewhere":   func(e *v1alpha1.ImageVerification) { e.Spec.Repository.Pull = "evil.example.com/web" },
		"not a repository":   func(e *v1alpha1.ImageVerification) { e.Spec.Repository.Name, e.Spec.Repository.Pull = "web", "web" },
		"a very long name":   func(e *v1alpha1.ImageVerification) { e.Spec.Repository.Name = strings.Repeat("x", 5000) },
		"a very long source": func(e *v1alpha1.ImageVerification) { e.Spec.Repository.Pull = strings.Repeat("x", 5000) },
	} {
		t.Run(name, func(t *testing.T) {
			e := manual(t)
			change(e)
			want := "kubectl delete imageverification " + e.Name + " -n sec"
			if got := ledger.Forged(e); !strings.HasSuffix(got, want) || len(got) > 1024 {
				t.Errorf("got %q, want %q at its end", got, want)
			}
		})
	}
}

// Its name is the one that a push of the digest has, so that there is one entry of each.
func TestAManualEntryHasTheNameOfItsDigest(t *testing.T) {
	c := store(t, interceptor.Funcs{})
	record(t, ledger.New(c, ledger.NewIndex(clock)), pushOf(repo, "v1", 1, noon))
	want, got := entries(t, c)[0], manual(t)
	if diff := cmp.Diff(want.Name, got.Name); diff != "" || !cmp.Equal(want.Labels, got.Labels) {
		t.Errorf("name and labels (-want +got):\n%s%s", diff, cmp.Diff(want.Labels, got.Labels))
	}
}

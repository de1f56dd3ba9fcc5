package gate

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/push"
)

const (
	routeHost   = "apps.example.com"
	serviceHost = "registry.svc:5000"
	web         = "r.example.com/shop/web"
)

// hexOf makes a digest of one letter.
func hexOf(c string) string { return strings.Repeat(c, 64) }

// standings are what a gate concludes about digests of one letter.
var standings = map[string]Finding{
	hexOf("a"): {Standing: Verified, Reason: ReasonPassed},
	hexOf("b"): {Standing: Verified, Reason: ReasonPassed},
	hexOf("c"): {Standing: Failed, Reason: ReasonFailed},
	hexOf("d"): {Standing: Expired, Reason: ReasonExpired, Verdict: &v1alpha1.Verdict{Outcome: v1alpha1.OutcomePass}},
	hexOf("e"): {Standing: Expired, Reason: ReasonExpired, Verdict: &v1alpha1.Verdict{Outcome: v1alpha1.OutcomeFail}},
	hexOf("f"): {Reason: ReasonCheckOff},
}

func find(digest string) Finding {
	if f, ok := standings[digest]; ok {
		return f
	}
	return Finding{Reason: ReasonNoResult}
}

// pushed is a push of a repository in a registry.
func pushed(digest string, sequence, at int64) TagPush {
	return TagPush{Trigger: "t1", Repository: push.Repository{Kind: push.Registry, Name: web}, Tag: "1",
		Moment: push.Moment{Sequence: sequence, PushedAt: at}, Digest: hexOf(digest)}
}

// streamed is a push of an ImageStream, whose times are to the second.
func streamed(digest string, at int64) TagPush {
	return TagPush{Trigger: "t1", Repository: push.Repository{Kind: push.ImageStream, Name: "shop/web", UID: "s1"},
		Names: []string{serviceHost + "/shop/web", routeHost + "/shop/web"}, Tag: "1",
		Moment: push.Moment{PushedAt: at}, Digest: hexOf(digest)}
}

func (p TagPush) with(change func(*TagPush)) TagPush { change(&p); return p }

func byTrigger(uid string) func(*TagPush)     { return func(p *TagPush) { p.Trigger = uid } }
func underway(p *TagPush)                     { p.Underway = true }
func noImage(p *TagPush)                      { p.NoImage = true }
func inRepository(name string) func(*TagPush) { return func(p *TagPush) { p.Repository.Name = name } }

func TestPins(t *testing.T) {
	const name = web + ":1"
	for _, test := range []struct {
		name       string
		pushes     []TagPush
		newest     string
		lastPassed string
	}{
		{"one push that passed", []TagPush{pushed("a", 1, 1)}, hexOf("a"), hexOf("a")},
		{"a newer push passed", []TagPush{pushed("a", 1, 1), pushed("b", 2, 2)}, hexOf("b"), hexOf("b")},
		{"the tag moved back", []TagPush{pushed("a", 3, 3), pushed("b", 2, 2)}, hexOf("a"), hexOf("a")},
		{"the newest push is being verified", []TagPush{pushed("a", 1, 1), pushed("0", 2, 2).with(underway)}, "BeingVerified", hexOf("a")},
		{"the newest push failed", []TagPush{pushed("a", 1, 1), pushed("c", 2, 2)}, "Failed", hexOf("a")},
		{"the newest push failed, and is looked at again", []TagPush{pushed("a", 1, 1), pushed("c", 2, 2).with(underway)}, "Failed", hexOf("a")},
		{"the newest push passed, and is looked at again", []TagPush{pushed("b", 1, 1), pushed("a", 2, 2).with(underway)}, hexOf("a"), hexOf("a")},
		{"the newest push ended without a verdict", []TagPush{pushed("a", 1, 1), pushed("0", 2, 2)}, "NotVerified", hexOf("a")},
		{"a required check was off", []TagPush{pushed("a", 1, 1), pushed("f", 2, 2)}, "CheckOff", hexOf("a")},
		{"nothing passed", []TagPush{pushed("c", 1, 1), pushed("0", 2, 2)}, "NotVerified", "NotVerified"},
		{"sequences count, and not times", []TagPush{pushed("a", 1, 9), pushed("b", 2, 2)}, hexOf("b"), hexOf("b")},
		{"one sequence twice: both passed", []TagPush{pushed("b", 2, 2), pushed("a", 2, 2)}, hexOf("a"), hexOf("a")},
		{"one sequence twice: one failed", []TagPush{pushed("a", 2, 2), pushed("c", 2, 2)}, "Failed", hexOf("a")},
		{"one sequence twice: one fails, one is being verified", []TagPush{pushed("0", 2, 2).with(underway), pushed("c", 2, 2)}, "Failed", "Failed"},
		{"two triggers saw the same", []TagPush{pushed("a", 7, 1), pushed("a", 1, 2).with(byTrigger("t2"))}, hexOf("a"), hexOf("a")},
		{"a second trigger has not seen the newest push yet", []TagPush{pushed("a", 1, 1), pushed("b", 2, 5), pushed("a", 9, 1).with(byTrigger("t2"))}, hexOf("b"), hexOf("b")},
		{"an earlier trigger knows less, with higher sequences", []TagPush{pushed("c", 8, 1).with(byTrigger("t0")), pushed("a", 1, 3)}, hexOf("a"), hexOf("a")},
		{"two triggers saw different pushes in one second", []TagPush{pushed("a", 1, 3), pushed("c", 1, 3).with(byTrigger("t2"))}, "Failed", hexOf("a")},
		{"two triggers saw different pushes in one second, and both passed", []TagPush{pushed("b", 1, 3), pushed("a", 1, 3).with(byTrigger("t2"))}, hexOf("a"), hexOf("a")},
		{"the digest is under way in another repository", []TagPush{pushed("0", 1, 1), pushed("0", 1, 1).with(underway).with(inRepository("r.example.com/x"))}, "BeingVerified", "BeingVerified"},
		{"the newest push is no image", []TagPush{pushed("a", 1, 1), pushed("0", 2, 2).with(noImage)}, "", hexOf("a")},
		{"nothing but what is no image", []TagPush{pushed("0", 1, 1).with(noImage), pushed("1", 2, 2).with(noImage)}, "", ""},
		{"an image after what is no image", []TagPush{pushed("0", 1, 1).with(noImage), pushed("a", 2, 2)}, hexOf("a"), hexOf("a")},
		{"one sequence twice: one is no image", []TagPush{pushed("0", 2, 2).with(noImage), pushed("1", 2, 2)}, "NotVerified", "NotVerified"},
		{"a failure that is too old to count is no pass", []TagPush{pushed("a", 1, 1), pushed("e", 2, 2)}, "Expired", hexOf("a")},
		{"a stream of the same name in the registry that serves it", []TagPush{pushed("a", 1, 1),
			streamed("b", 2).with(func(p *TagPush) { p.Names[1] = web })}, hexOf("b"), hexOf("b")},
	} {
		t.Run(test.name, func(t *testing.T) {
			for range 2 { // the order of what the ledger says does not matter
				for policy, want := range map[v1alpha1.PinPolicy]string{v1alpha1.PinNewest: test.newest, v1alpha1.PinLastPassed: test.lastPassed} {
					got := Rules{}.Pins(policy, test.pushes, find, nil, MaxTagBytes)
					if value, known := got.Tags[name]; value != want || known != (want != "") || got.Omitted != 0 {
						t.Errorf("%s: %q, %d omitted, want %q", policy, got.Tags[name], got.Omitted, want)
					}
				}
				slices.Reverse(test.pushes)
			}
			if got := (Rules{}).Pins(v1alpha1.PinOff, test.pushes, find, nil, MaxTagBytes); len(got.Tags) != 0 {
				t.Errorf("Off: %v", got.Tags)
			}
		})
	}
}

// Times of a stream are its own, and pushes of one second have no order.
func TestPinsOfAStream(t *testing.T) {
	recreated := func(p *TagPush) { p.Repository.UID = "s2" }
	for _, test := range []struct {
		name   string
		pushes []TagPush
		want   string
	}{
		{"the later push", []TagPush{streamed("a", 2), streamed("c", 1)}, hexOf("a")},
		{"one second, both passed", []TagPush{streamed("b", 2), streamed("a", 2)}, hexOf("a")},
		{"one second, one failed", []TagPush{streamed("c", 2), streamed("a", 2)}, "Failed"},
		{"a stream that was made again", []TagPush{streamed("c", 2), streamed("a", 3).with(recreated)}, hexOf("a")},
	} {
		t.Run(test.name, func(t *testing.T) {
			want := map[string]string{serviceHost + "/shop/web:1": test.want, routeHost + "/shop/web:1": test.want}
			if diff := cmp.Diff(want, Rules{}.Pins(v1alpha1.PinNewest, test.pushes, find, nil, MaxTagBytes).Tags); diff != "" {
				t.Errorf("tags (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNamesOfATag(t *testing.T) {
	of := func(name string) TagPush { return pushed("a", 1, 1).with(inRepository(name)) }
	for _, test := range []struct {
		name   string
		pushes []TagPush
		want   []string
	}{
		{"docker.io by its short host", []TagPush{of("docker.io/library/nginx")}, []string{"docker.io/library/nginx:1"}},
		{"docker.io by its long host", []TagPush{of("index.docker.io/library/nginx")}, []string{"docker.io/library/nginx:1"}},
		{"both are one", []TagPush{of("docker.io/library/nginx"), of("index.docker.io/library/nginx").with(byTrigger("t2"))}, []string{"docker.io/library/nginx:1"}},
		{"a stream whose entries name no host is served where others are", []TagPush{
			streamed("a", 1).with(func(p *TagPush) { p.Names = nil }),
			streamed("a", 1).with(func(p *TagPush) {
				p.Repository.Name, p.Names = "x/y", []string{serviceHost + "/x/y"}
			})}, []string{serviceHost + "/shop/web:1", serviceHost + "/x/y:1"}},
		{"a route that was added later", []TagPush{
			streamed("a", 1).with(func(p *TagPush) { p.Names = p.Names[:1] }), streamed("a", 2)},
			[]string{routeHost + "/shop/web:1", serviceHost + "/shop/web:1"}},
		{"a stream that nobody serves", []TagPush{streamed("a", 1).with(func(p *TagPush) { p.Names = nil })}, nil},
		{"a name that is not the stream's", []TagPush{streamed("a", 1).with(func(p *TagPush) { p.Names = []string{"quay.io/library/nginx"} })}, nil},
		{"no kind of repository", []TagPush{of("x/y").with(func(p *TagPush) { p.Repository.Kind = "" })}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for name := range (Rules{}).Pins(v1alpha1.PinNewest, test.pushes, find, nil, MaxTagBytes).Tags {
				got = append(got, name)
			}
			slices.Sort(got)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("names (-want +got):\n%s", diff)
			}
		})
	}
}

// Where expired digests that ran here may start again, their tags have to say which digest.
func TestAnExpiredDigestIsPinnedWhereExpiryOnlyWarns(t *testing.T) {
	for policy, want := range map[v1alpha1.ExpiredPolicy]string{v1alpha1.ExpiredWarn: hexOf("d"), v1alpha1.ExpiredDeny: "Expired"} {
		r := Rules{onExpired: policy}
		got := r.Pins(v1alpha1.PinNewest, []TagPush{pushed("a", 1, 1), pushed("d", 2, 2)}, find, nil, MaxTagBytes)
		if got.Tags[web+":1"] != want {
			t.Errorf("onExpired %s: %q, want %q", policy, got.Tags[web+":1"], want)
		}
	}
	got := Rules{onExpired: v1alpha1.ExpiredWarn}.Pins(v1alpha1.PinNewest, []TagPush{pushed("e", 2, 2)}, find, nil, MaxTagBytes)
	if got.Tags[web+":1"] != "Expired" {
		t.Errorf("a failure of before: %q, want Expired", got.Tags[web+":1"])
	}
}

func TestExemptTagsAreNotPinned(t *testing.T) {
	exempt := func(n Name) bool { return n.String() == web+":1" }
	other := pushed("a", 1, 1).with(func(p *TagPush) { p.Tag = "2" })
	got := Rules{}.Pins(v1alpha1.PinNewest, []TagPush{pushed("a", 1, 1), other}, find, exempt, MaxTagBytes)
	if diff := cmp.Diff(map[string]string{web + ":2": hexOf("a")}, got.Tags); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
}

// What finds no room is told. Pins come before reasons, and new pushes before old ones.
func TestPinsTakeTheirBytesAndNoMore(t *testing.T) {
	var pushes []TagPush
	for i := range 4 {
		pushes = append(pushes, pushed("a", 1, int64(i)).with(func(p *TagPush) { p.Tag = fmt.Sprint("p", i) }))
		pushes = append(pushes, pushed("c", 1, int64(10+i)).with(func(p *TagPush) { p.Tag = fmt.Sprint("f", i) }))
	}
	pushes = append(pushes, pushed("a", 1, 0).with(func(p *TagPush) { p.Tag = "p00" }))
	size := func(tags map[string]string) int {
		n := 0
		for name, value := range tags {
			n += len(`"`+name+`":"`+value+`"`) + len(",")
		}
		return n
	}
	all := Rules{}.Pins(v1alpha1.PinNewest, pushes, find, nil, MaxTagBytes)
	if all.Omitted != 0 || all.FirstOmitted != "" || len(all.Tags) != 9 {
		t.Fatalf("with room for all: %+v", all)
	}
	order := []string{"p3", "p2", "p1", "p0", "p00", "f3", "f2", "f1", "f0"}
	for n := range order {
		want := PinnedTags{Tags: map[string]string{}, Omitted: len(order) - n, FirstOmitted: web + ":" + order[n]}
		for _, tag := range order[:n] {
			want.Tags[web+":"+tag] = all.Tags[web+":"+tag]
		}
		next := size(want.Tags) + size(map[string]string{want.FirstOmitted: all.Tags[want.FirstOmitted]})
		for _, budget := range []int{size(want.Tags), next - 1} {
			if diff := cmp.Diff(want, Rules{}.Pins(v1alpha1.PinNewest, pushes, find, nil, budget)); diff != "" {
				t.Errorf("room for %d bytes (-want +got):\n%s", budget, diff)
			}
		}
	}
}

// Whoever pushes many tags takes no room of others: an owner's newest tags stay before another's
// older ones, pinned or not.
func TestNobodyCrowdsOutOthersTags(t *testing.T) {
	find := func(digest string) Finding {
		return Finding{Standing: map[string]Standing{hexOf("a"): Verified}[digest]}
	}
	var pushes []TagPush
	add := func(repository, tag, digest string, at int64) {
		pushes = append(pushes, TagPush{Trigger: "t", Repository: push.Repository{Kind: push.Registry, Name: repository},
			Tag: tag, Moment: push.Moment{PushedAt: at}, Digest: hexOf(digest)})
	}
	for i := range 3000 {
		add(fmt.Sprintf("r.example/many/%d", i), strings.Repeat("x", 120), "a", 1000)
		add(fmt.Sprintf("r.example/unverified/%d", i), strings.Repeat("x", 120), "b", 1000)
	}
	others := []string{"r.example/shop/web:1", "r.example/shop/api:1", "r.example/one:1", "other.example/many/a:1"}
	for _, name := range others {
		repository, tag, _ := strings.Cut(name, ":")
		add(repository, tag, "a", 1)
	}
	add("r.example/unlucky/a", "1", "b", 1)
	got := Rules{}.Pins(v1alpha1.PinNewest, pushes, find, nil, 500_000)
	for _, name := range others {
		if got.Tags[name] != hexOf("a") {
			t.Errorf("%s stands for %q", name, got.Tags[name])
		}
	}
	if got.Omitted == 0 || got.Tags[got.FirstOmitted] != "" {
		t.Errorf("omitted %d, such as %s", got.Omitted, got.FirstOmitted)
	}
	got = Rules{}.Pins(v1alpha1.PinNewest, pushes, find, nil, 1_000_000)
	if got.Tags["r.example/unlucky/a:1"] == "" {
		t.Error("a tag that is not pinned has no room beside many others")
	}
}

func TestTagPushes(t *testing.T) {
	at := func(s int64) metav1.Time { return metav1.NewTime(time.Unix(s, 0)) }
	entry := &v1alpha1.ImageVerification{
		ObjectMeta: metav1.ObjectMeta{Namespace: "sec", Name: "e"},
		Spec: v1alpha1.ImageVerificationSpec{
			Trigger: v1alpha1.TriggerReference{Name: "vet", UID: "t1"},
			Repository: v1alpha1.RepositoryReference{Kind: v1alpha1.RepositoryImageStream, Name: "shop/web", UID: "s1",
				Pull: "quay.io/x/y", Names: []string{serviceHost + "/shop/web"}},
			Digest:    "sha256:" + hexOf("a"),
			FirstPush: v1alpha1.PushRecord{Tag: "1", PushedAt: at(1), Sequence: 1},
		},
	}
	of := func(tag string, m push.Moment, underway bool) TagPush {
		return TagPush{Trigger: "t1", Repository: push.Repository{Kind: push.ImageStream, Name: "shop/web", UID: "s1"},
			Names: []string{serviceHost + "/shop/web"}, Tag: tag, Moment: m, Digest: hexOf("a"), Underway: underway}
	}
	rules := func(name string) Rules {
		return Rules{trust: map[v1alpha1.TrustedTrigger]bool{{Namespace: "sec", Trigger: name}: true}}
	}
	for _, test := range []struct {
		name   string
		trust  string
		change func(*v1alpha1.ImageVerification)
		want   []TagPush
	}{
		{"an entry without a status", "vet", func(*v1alpha1.ImageVerification) {}, []TagPush{of("1", push.Moment{PushedAt: 1, Sequence: 1}, true)}},
		{"newer pushes, and an end", "vet", func(e *v1alpha1.ImageVerification) {
			e.Status.Phase = v1alpha1.PhaseError
			e.Status.Tags = []v1alpha1.TagStatus{
				{PushRecord: v1alpha1.PushRecord{Tag: "1", PushedAt: at(5), Sequence: 3}},
				{PushRecord: v1alpha1.PushRecord{Tag: "2", PushedAt: at(6), Sequence: 1}}}
		}, []TagPush{of("1", push.Moment{PushedAt: 5, Sequence: 3}, false), of("2", push.Moment{PushedAt: 6, Sequence: 1}, false)}},
		{"tags without a name", "vet", func(e *v1alpha1.ImageVerification) {
			e.Status.MoreTags = &v1alpha1.MoreTags{Forgotten: 1, ForgottenThrough: &metav1.Time{Time: time.Unix(4, 0)}}
			e.Status.MoreTags.Pack([]v1alpha1.PackedTag{{Key: v1alpha1.KeyOfTag("3"), PushedAt: 7, Sequence: 2}})
		}, []TagPush{
			of("1", push.Moment{PushedAt: 1, Sequence: 1}, true).with(forgets(4)),
			of("3", push.Moment{PushedAt: 7, Sequence: 2}, true).with(forgets(4)).with(unnamed)}},
		{"requested", "vet", func(e *v1alpha1.ImageVerification) { e.Status.Phase = v1alpha1.PhaseRequested }, []TagPush{of("1", push.Moment{PushedAt: 1, Sequence: 1}, true)}},
		{"running", "vet", func(e *v1alpha1.ImageVerification) { e.Status.Phase = v1alpha1.PhaseRunning }, []TagPush{of("1", push.Moment{PushedAt: 1, Sequence: 1}, true)}},
		{"skipped", "vet", func(e *v1alpha1.ImageVerification) { e.Status.Phase = v1alpha1.PhaseSkipped }, []TagPush{of("1", push.Moment{PushedAt: 1, Sequence: 1}, false)}},
		{"no image", "vet", func(e *v1alpha1.ImageVerification) {
			e.Status.Phase, e.Status.Reason = v1alpha1.PhaseSkipped, v1alpha1.ReasonNotAnImage
		}, []TagPush{of("1", push.Moment{PushedAt: 1, Sequence: 1}, false).with(noImage)}},
		{"an error that began as no image", "vet", func(e *v1alpha1.ImageVerification) {
			e.Status.Phase, e.Status.Reason = v1alpha1.PhaseError, v1alpha1.ReasonNotAnImage
		}, []TagPush{of("1", push.Moment{PushedAt: 1, Sequence: 1}, false)}},
		{"a trigger that nobody trusts", "other", func(*v1alpha1.ImageVerification) {}, nil},
		{"a digest that nobody pushed", "vet", func(e *v1alpha1.ImageVerification) { e.Spec.FirstPush.Tag = "" }, nil},
		{"no digest", "vet", func(e *v1alpha1.ImageVerification) { e.Spec.Digest = "sha256:x" }, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := entry.DeepCopy()
			test.change(e)
			if diff := cmp.Diff(test.want, rules(test.trust).TagPushes(e)); diff != "" {
				t.Errorf("pushes (-want +got):\n%s", diff)
			}
		})
	}
}

package gate

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) metav1.Time { return metav1.NewTime(noon.Add(-d)) }

// strict requires everything that a gate can require.
func strict(t *testing.T) Rules {
	t.Helper()
	r, err := RulesOf(&v1alpha1.ImageGate{Spec: v1alpha1.ImageGateSpec{
		Trust:  []v1alpha1.TrustedTrigger{{Namespace: "a", Trigger: "vet"}, {Namespace: "b", Trigger: "vet"}},
		MaxAge: metav1.Duration{Duration: 24 * time.Hour},
		Require: v1alpha1.GateRequirements{
			Checks: []string{"scan", "validate"}, Sandboxed: true, Platforms: []string{"linux/amd64", "linux/arm64/v8"},
			DatabaseMaxAge: &metav1.Duration{Duration: 5 * 24 * time.Hour},
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// verdict is one that meets strict, of an hour ago, with a change.
func verdict(outcome v1alpha1.Outcome, change ...func(*v1alpha1.Verdict)) *v1alpha1.Verdict {
	asOf := ago(24 * time.Hour)
	v := &v1alpha1.Verdict{
		Outcome: outcome, Run: "run", At: ago(time.Hour), Checks: []string{"scan", "validate", "signature"},
		Database:  &v1alpha1.VerdictDatabase{Digest: "sha256:d", AsOf: &asOf},
		Platforms: []string{"linux/amd64", "linux/arm64"},
		Sandbox:   v1alpha1.VerdictSandbox{Requested: "kata", Observed: []string{"kata"}},
	}
	for _, f := range change {
		f(v)
	}
	return v
}

// entry is evidence of the trigger a/vet about its own digest, an index.
func entry(phase v1alpha1.Phase, v *v1alpha1.Verdict, change ...func(*Evidence)) Evidence {
	e := Evidence{Namespace: "a", Trigger: "vet", Entry: "e", Phase: phase, Verdict: v, Index: true}
	for _, f := range change {
		f(&e)
	}
	return e
}

func old(d time.Duration) func(*v1alpha1.Verdict) {
	return func(v *v1alpha1.Verdict) {
		v.At = ago(d)
		asOf := ago(d + time.Hour)
		v.Database.AsOf = &asOf
	}
}

func earlier(e *Evidence)  { e.Earlier = true }
func single(e *Evidence)   { e.Index = false }
func inB(e *Evidence)      { e.Namespace, e.Entry = "b", "f" }
func stranger(e *Evidence) { e.Trigger = "other" }

func noPlatforms(v *v1alpha1.Verdict) { v.Platforms, v.Unselected = nil, 0 }

func child(platform string) func(*Evidence) {
	return func(e *Evidence) { e.Child = &v1alpha1.ChildImage{Digest: "sha256:c", Platform: platform} }
}

func unselected(v *v1alpha1.Verdict) { v.Platforms, v.Unselected = []string{"linux/amd64"}, 1 }

const (
	pass, fail = v1alpha1.OutcomePass, v1alpha1.OutcomeFail
	day        = 24 * time.Hour
)

// What a gate concludes is one rule: this table says it for every kind of evidence.
func TestJudge(t *testing.T) {
	passed := func(change ...func(*v1alpha1.Verdict)) *v1alpha1.Verdict { return verdict(pass, change...) }
	failed := func(change ...func(*v1alpha1.Verdict)) *v1alpha1.Verdict { return verdict(fail, change...) }
	for _, test := range []struct {
		name     string
		evidence []Evidence
		standing Standing
		reason   Reason
	}{
		{"nothing", nil, Unknown, ReasonNoEntry},
		{"passed", []Evidence{entry("Passed", passed())}, Verified, ReasonPassed},
		{"passed a moment less than maxAge ago", []Evidence{entry("Passed", passed(old(day-time.Second)))}, Verified, ReasonPassed},
		{"expired at maxAge", []Evidence{entry("Passed", passed(old(day)))}, Expired, ReasonExpired},
		{"failed", []Evidence{entry("Failed", failed())}, Failed, ReasonFailed},
		{"failed long ago", []Evidence{entry("Failed", failed(old(9*day)))}, Failed, ReasonFailed},
		{"Error after a pass, which stands", []Evidence{entry("Error", passed())}, Verified, ReasonPassed},
		{"Error after a failure, which stands", []Evidence{entry("Error", failed())}, Failed, ReasonFailed},
		{"a new run is under way after a pass", []Evidence{entry("Running", passed())}, Verified, ReasonPassed},
		{"pending", []Evidence{entry("Pending", nil)}, Unknown, ReasonNoResult},
		{"skipped", []Evidence{entry("Skipped", nil)}, Unknown, ReasonNoResult},
		{"Passed by phase alone, as before verdicts were kept", []Evidence{entry("Passed", nil)}, Unknown, ReasonNoResult},
		{"a verdict that is neither", []Evidence{entry("Error", verdict("error"))}, Unknown, ReasonNoResult},
		{"no outcome", []Evidence{entry("Passed", verdict(""))}, Unknown, ReasonNoResult},
		{"another trigger", []Evidence{entry("Passed", passed(), stranger)}, Unknown, ReasonNoEntry},
		{"another namespace", []Evidence{entry("Passed", passed(), func(e *Evidence) { e.Namespace = "c" })}, Unknown, ReasonNoEntry},
		{"another trigger failed it", []Evidence{entry("Passed", passed()), entry("Failed", failed(), stranger)}, Verified, ReasonPassed},
		{"within the clocks' difference", []Evidence{entry("Passed", passed(old(-4*time.Minute)))}, Verified, ReasonPassed},
		{"in the future", []Evidence{entry("Passed", passed(old(-6*time.Minute)))}, Unknown, ReasonInFuture},

		{"a check is off", []Evidence{entry("Passed", passed(func(v *v1alpha1.Verdict) { v.Off = []string{"scan"} }))}, Unknown, ReasonCheckOff},
		{"nobody says that a check looked", []Evidence{entry("Passed", passed(func(v *v1alpha1.Verdict) { v.Checks = []string{"scan"} }))}, Unknown, ReasonCheckOff},
		{"a check that is not required is off", []Evidence{entry("Passed", passed(func(v *v1alpha1.Verdict) { v.Off = []string{"signature"} }))}, Verified, ReasonPassed},
		{"not sandboxed", []Evidence{entry("Passed", passed(func(v *v1alpha1.Verdict) { v.Sandbox = v1alpha1.VerdictSandbox{} }))}, Unknown, ReasonNotSandboxed},
		{"no Pod was seen in the sandbox", []Evidence{entry("Passed", passed(func(v *v1alpha1.Verdict) { v.Sandbox.Observed = nil }))}, Unknown, ReasonNotSandboxed},
		{"one Pod outside the sandbox", []Evidence{entry("Passed", passed(func(v *v1alpha1.Verdict) { v.Sandbox.Observed = []string{"kata", ""} }))}, Unknown, ReasonNotSandboxed},
		{"the database was too old", []Evidence{entry("Passed", passed(func(v *v1alpha1.Verdict) { v.Database.AsOf.Time = noon.Add(-7 * day) }))}, Unknown, ReasonDatabase},
		{"the age of the database is not known", []Evidence{entry("Passed", passed(func(v *v1alpha1.Verdict) { v.Database.AsOf = nil }))}, Unknown, ReasonDatabase},
		{"the database is of a time that has not come", []Evidence{entry("Passed", passed(func(v *v1alpha1.Verdict) { v.Database.AsOf.Time = noon.Add(day) }))}, Unknown, ReasonDatabase},
		{"no database", []Evidence{entry("Passed", passed(func(v *v1alpha1.Verdict) { v.Database = nil }))}, Unknown, ReasonDatabase},
		{"what is unmet weighs more than age", []Evidence{entry("Passed", passed(old(2*day), func(v *v1alpha1.Verdict) { v.Off = []string{"scan"} }))}, Unknown, ReasonCheckOff},
		{"failed although a check was off", []Evidence{entry("Failed", failed(func(v *v1alpha1.Verdict) { v.Off = []string{"scan"} }))}, Failed, ReasonFailed},

		{"an index without one platform", []Evidence{entry("Passed", passed(unselected))}, Unknown, ReasonPlatform},
		{"an index with an unselected child of another platform", []Evidence{entry("Passed", passed(func(v *v1alpha1.Verdict) { v.Unselected = 1 }))}, Verified, ReasonPassed},
		{"what may be an index, with one platform", []Evidence{entry("Passed", passed(func(v *v1alpha1.Verdict) { v.Platforms = []string{"linux/amd64"} }))}, Unknown, ReasonPlatform},
		{"a single image", []Evidence{entry("Passed", passed(func(v *v1alpha1.Verdict) { v.Platforms = []string{"linux/amd64"} }), single)}, Verified, ReasonPassed},
		{"a single image of another spelling", []Evidence{entry("Passed", passed(func(v *v1alpha1.Verdict) { v.Platforms = []string{"linux/aarch64"} }), single)}, Verified, ReasonPassed},
		{"a single image of another platform", []Evidence{entry("Passed", passed(func(v *v1alpha1.Verdict) { v.Platforms = []string{"linux/s390x"} }), single)}, Unknown, ReasonPlatform},
		{"a single image without a platform", []Evidence{entry("Passed", passed(func(v *v1alpha1.Verdict) { v.Platforms = nil }), single)}, Unknown, ReasonPlatform},
		{"platforms that found no room in the list", []Evidence{entry("Passed", passed(func(v *v1alpha1.Verdict) { v.Platforms, v.PlatformsOmitted = []string{"linux/amd64"}, 3 }), single)}, Unknown, ReasonPlatform},

		{"a child of an index", []Evidence{entry("Passed", passed(), child("linux/amd64"))}, Verified, ReasonPassed},
		{"a child that was not selected", []Evidence{entry("Passed", passed(unselected), child("linux/arm64"))}, Unknown, ReasonPlatform},
		{"the selected child", []Evidence{entry("Passed", passed(unselected), child("linux/amd64"))}, Verified, ReasonPassed},
		{"a child of an index whose run tells no platforms", []Evidence{
			entry("Passed", passed(noPlatforms), child("linux/amd64")),
		}, Unknown, ReasonPlatform},
		{"a child of a failed index whose run tells no platforms", []Evidence{
			entry("Failed", failed(noPlatforms), child("linux/amd64")),
		}, Failed, ReasonFailed},
		{"a child without a platform", []Evidence{entry("Passed", passed(), child(""))}, Unknown, ReasonPlatform},
		{"a child of a platform that the gate does not list", []Evidence{entry("Passed", passed(), child("linux/s390x"))}, Unknown, ReasonPlatform},
		{"a child of a failed index", []Evidence{entry("Failed", failed(), child("linux/amd64"))}, Failed, ReasonFailed},
		{"an unselected child of a failed index", []Evidence{entry("Failed", failed(unselected), child("linux/arm64"))}, Unknown, ReasonPlatform},
		{"a child of a failed index that passed by itself later", []Evidence{
			entry("Failed", failed(old(3*time.Hour)), child("linux/amd64")), entry("Passed", passed(), single, func(e *Evidence) { e.Entry = "own" }),
		}, Verified, ReasonPassed},
		{"and too long ago", []Evidence{
			entry("Failed", failed(old(3*day)), child("linux/amd64")), entry("Passed", passed(old(2*day)), single, func(e *Evidence) { e.Entry = "own" }),
		}, Expired, ReasonExpired},
		{"and failed by itself long ago", []Evidence{
			entry("Failed", failed(old(3*day)), child("linux/amd64")), entry("Failed", failed(old(2*day)), single, earlier),
		}, Failed, ReasonFailed},
		{"and for its one platform", []Evidence{
			entry("Failed", failed(old(3*time.Hour)), child("linux/amd64")),
			entry("Passed", passed(func(v *v1alpha1.Verdict) { v.Platforms = []string{"linux/amd64"} }), single),
		}, Verified, ReasonPassed},
		{"and by an earlier trigger of that name", []Evidence{
			entry("Failed", failed(old(3*time.Hour)), child("linux/amd64")),
			entry("Passed", passed(func(v *v1alpha1.Verdict) { v.Platforms = []string{"linux/amd64"} }), single, earlier),
		}, Failed, ReasonFailed},
		{"and before the index failed", []Evidence{
			entry("Failed", failed(), child("linux/amd64")),
			entry("Passed", passed(old(3*time.Hour), func(v *v1alpha1.Verdict) { v.Platforms = []string{"linux/amd64"} }), single),
		}, Failed, ReasonFailed},
		{"and with a check off", []Evidence{
			entry("Failed", failed(old(3*time.Hour)), child("linux/amd64")),
			entry("Passed", passed(func(v *v1alpha1.Verdict) { v.Off = []string{"scan"} }), single),
		}, Failed, ReasonFailed},
		{"and for another trigger", []Evidence{
			entry("Failed", failed(old(3*time.Hour)), child("linux/amd64")),
			entry("Passed", passed(func(v *v1alpha1.Verdict) { v.Platforms = []string{"linux/amd64"} }), single, inB),
		}, Failed, ReasonFailed},

		{"an earlier trigger passed it", []Evidence{entry("Passed", passed(), earlier)}, Verified, ReasonPassed},
		{"an earlier trigger passed it too long ago", []Evidence{entry("Passed", passed(old(2*day)), earlier)}, Expired, ReasonExpired},
		{"an earlier trigger failed it", []Evidence{entry("Failed", failed(), earlier)}, Failed, ReasonFailed},
		{"an earlier trigger failed it too long ago", []Evidence{entry("Failed", failed(old(2*day)), earlier)}, Expired, ReasonExpired},
		{"an earlier trigger failed it too long ago, and the present one passed", []Evidence{
			entry("Failed", failed(old(2*day)), earlier), entry("Passed", passed(), func(e *Evidence) { e.Entry = "new" }),
		}, Verified, ReasonPassed},

		{"failed in one repository, and passed in a laxer one later", []Evidence{
			entry("Failed", failed(old(5*time.Hour))), entry("Passed", passed(), inB),
		}, Failed, ReasonFailed},
		{"passed in one, and not looked at for a platform in another", []Evidence{
			entry("Passed", passed(unselected)), entry("Passed", passed(), inB),
		}, Verified, ReasonPassed},
		{"expired in one, and passed in another", []Evidence{entry("Passed", passed(old(2*day))), entry("Passed", passed(), inB)}, Verified, ReasonPassed},
	} {
		t.Run(test.name, func(t *testing.T) {
			for range 2 {
				got := strict(t).Judge(test.evidence, noon)
				if got.Standing != test.standing || got.Reason != test.reason {
					t.Errorf("%v for %v (%s), want %v for %v", got.Standing, got.Reason, got.Message, test.standing, test.reason)
				}
				if got.Standing != Verified && got.Message == "" {
					t.Error("nothing says why")
				}
				reverse(test.evidence) // the order of entries decides nothing
			}
		})
	}
}

func reverse(all []Evidence) {
	for i, j := 0, len(all)-1; i < j; i, j = i+1, j-1 {
		all[i], all[j] = all[j], all[i]
	}
}

// The newest of several passes decides how long a digest is fresh.
func TestJudgeTakesTheNewestPass(t *testing.T) {
	got := strict(t).Judge([]Evidence{
		entry("Passed", verdict(pass, old(2*time.Hour))), entry("Passed", verdict(pass, old(time.Minute)), inB), entry("Passed", verdict(pass, old(5*time.Hour))),
	}, noon)
	if want := noon.Add(-time.Minute); got.Standing != Verified || !got.At.Equal(want) || got.Entry != "f" || got.Namespace != "b" {
		t.Errorf("%+v, want the one of %v", got, want)
	}
}

// Without requirements a pass counts, and maxAge has a default.
func TestRulesWithoutRequirements(t *testing.T) {
	r, err := RulesOf(&v1alpha1.ImageGate{Spec: v1alpha1.ImageGateSpec{Trust: []v1alpha1.TrustedTrigger{{Namespace: "a", Trigger: "vet"}}}})
	if err != nil {
		t.Fatal(err)
	}
	if r.MaxAge() != 168*time.Hour {
		t.Errorf("maxAge is %s", r.MaxAge())
	}
	bare := &v1alpha1.Verdict{Outcome: pass, Run: "run", At: ago(time.Hour)}
	if got := r.Judge([]Evidence{entry("Passed", bare)}, noon); got.Standing != Verified {
		t.Errorf("%+v", got)
	}
	if got := (Rules{}).Judge([]Evidence{entry("Passed", verdict(pass))}, noon); got.Standing != Unknown {
		t.Errorf("rules that trust nobody conclude %+v", got)
	}
}

func TestRulesRefuseWhatTheyCannotFollow(t *testing.T) {
	for name, require := range map[string]v1alpha1.GateRequirements{
		"a platform without architecture": {Platforms: []string{"linux"}},
		"a platform with four parts":      {Platforms: []string{"linux/arm/v7/x"}},
		"a database of no age":            {DatabaseMaxAge: &metav1.Duration{}},
	} {
		if _, err := RulesOf(&v1alpha1.ImageGate{Spec: v1alpha1.ImageGateSpec{Require: require}}); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

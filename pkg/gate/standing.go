package gate

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// Standing is what a gate concludes about a digest. The zero value admits nothing.
type Standing int

// The standings, from the one that says least to the one that weighs most.
const (
	// Unknown: no trusted entry has a verdict that counts.
	Unknown Standing = iota
	// Expired: a verdict would count if it were younger.
	Expired
	// Verified: a trusted entry passed, with everything that the gate requires.
	Verified
	// Failed: a trusted entry failed. It outweighs every pass.
	Failed
)

// String returns the standing's name, as the gate's status shows it.
func (s Standing) String() string {
	switch s {
	case Expired:
		return "Expired"
	case Verified:
		return "Verified"
	case Failed:
		return "Failed"
	default:
		return "Unknown"
	}
}

// Reason says in CamelCase why a digest stands as it does.
type Reason string

// The reasons. The zero value is none.
const (
	ReasonPassed   Reason = "Passed"
	ReasonFailed   Reason = "Failed"
	ReasonExpired  Reason = "Expired"
	ReasonNoEntry  Reason = "NoEntry"
	ReasonNoResult Reason = "NoVerdict"
	// ReasonCheckOff: a required check did not look at the image.
	ReasonCheckOff Reason = "CheckOff"
	// ReasonNotSandboxed: the run did not execute in a RuntimeClass.
	ReasonNotSandboxed Reason = "NotSandboxed"
	// ReasonPlatform: a required platform was not looked at, or nobody knows.
	ReasonPlatform Reason = "PlatformNotVerified"
	// ReasonDatabase: the vulnerability database was too old, or nobody knows.
	ReasonDatabase Reason = "DatabaseTooOld"
	// ReasonInFuture: the verdict claims a time that has not come.
	ReasonInFuture Reason = "InTheFuture"
)

// futureSkew is by how much clocks may differ.
const futureSkew = 5 * time.Minute

// Evidence is what one entry of a trusted trigger says about one digest: the entry's own, or
// that of an image in the entry's index.
type Evidence struct {
	Namespace string
	Trigger   string
	Entry     string
	// Earlier is true if the entry belongs to an earlier trigger of that name, or to one
	// that is gone. Such an entry counts until its verdict expires.
	Earlier bool
	Phase   v1alpha1.Phase
	Verdict *v1alpha1.Verdict
	// Index is true if the entry's digest is, or may be, that of an index.
	Index bool
	// Child is the image of the index that the evidence is about; nil for the entry's digest.
	Child *v1alpha1.ChildImage
}

// by is the trigger whose entry it is.
func (e Evidence) by() v1alpha1.TrustedTrigger {
	return v1alpha1.TrustedTrigger{Namespace: e.Namespace, Trigger: e.Trigger}
}

// Finding is what a gate concludes about a digest, and from which entry.
type Finding struct {
	Standing Standing
	Reason   Reason
	// Message says the reason in words.
	Message string
	// At is the time of the verdict that decided; zero if none did.
	At time.Time
	// Namespace, Trigger and Entry name the entry that decided; empty if none did.
	Namespace, Trigger, Entry string
	// Verdict is the one that decided.
	Verdict *v1alpha1.Verdict
	// OfIndex is true if the digest is verified, or was, by indexes that list it alone.
	OfIndex bool
}

// Judge concludes from everything that entries say about one digest. Evidence of triggers
// that the gate does not trust is passed over.
func (r Rules) Judge(all []Evidence, now time.Time) Finding {
	worst := Finding{Reason: ReasonNoEntry, Message: "no trigger that the gate trusts has an entry of this digest"}
	passes := r.ownPasses(all, now)
	var found []Finding
	own := map[Standing]bool{}
	for _, e := range all {
		if !r.Trusts(e.Namespace, e.Trigger) {
			continue
		}
		f := r.judge(e, now)
		f.Namespace, f.Trigger, f.Entry, f.Verdict = e.Namespace, e.Trigger, e.Entry, e.Verdict
		if f.Standing == Failed && e.Child != nil && passes[e.by()].After(e.Verdict.At.Time) {
			continue
		}
		own[f.Standing] = own[f.Standing] || e.Child == nil
		found = append(found, f)
	}
	if len(found) == 0 {
		return worst
	}
	decides := slices.MaxFunc(found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Standing, b.Standing), a.At.Compare(b.At),
			cmp.Compare(b.Namespace+"/"+b.Entry, a.Namespace+"/"+a.Entry))
	})
	decides.OfIndex = (decides.Standing == Verified || decides.Standing == Expired) && !own[decides.Standing]
	return decides
}

// ownPasses returns when each trigger last passed the digest by itself. If that is after an index
// failed, the index failed for another image. Anybody who pushes indexes adds evidence, so that it
// is gone through once.
func (r Rules) ownPasses(all []Evidence, now time.Time) map[v1alpha1.TrustedTrigger]time.Time {
	passes := map[v1alpha1.TrustedTrigger]time.Time{}
	for _, e := range all {
		if e.Child != nil || e.Earlier || e.Verdict == nil {
			continue
		}
		standing := r.judge(e, now).Standing
		by := e.by()
		// Expired, of the present trigger, is a pass, too.
		if (standing == Verified || standing == Expired) && e.Verdict.At.After(passes[by]) {
			passes[by] = e.Verdict.At.Time
		}
	}
	return passes
}

// judge concludes from one entry of a trusted trigger.
func (r Rules) judge(e Evidence, now time.Time) Finding {
	v := e.Verdict
	if v == nil {
		return Finding{Reason: ReasonNoResult, Message: fmt.Sprintf("entry %s/%s is %s and has no verdict", e.Namespace, e.Entry, e.Phase)}
	}
	at := v.At.Time
	expired := !now.Before(at.Add(r.maxAge))
	switch v.Outcome {
	case v1alpha1.OutcomeFail:
		if e.Earlier && expired {
			return Finding{Standing: Expired, Reason: ReasonExpired, At: at, Message: "an earlier trigger of that name failed it, too long ago to count"}
		}
		// A run that tells of no image that it left out may have failed for this one.
		if e.Child != nil && v.Unselected > 0 && !LookedAt(v, e.Child) {
			return Finding{Reason: ReasonPlatform, Message: "the run of its index did not look at it"}
		}
		return Finding{Standing: Failed, Reason: ReasonFailed, At: at, Message: failure(e)}
	case v1alpha1.OutcomePass:
	default:
		return Finding{Reason: ReasonNoResult, Message: fmt.Sprintf("entry %s/%s has the verdict %q, which is neither pass nor fail", e.Namespace, e.Entry, v.Outcome)}
	}
	if at.After(now.Add(futureSkew)) {
		return Finding{Reason: ReasonInFuture, Message: fmt.Sprintf("the verdict claims to be of %s; check the clocks", at.UTC().Format(time.RFC3339))}
	}
	if reason, message := r.unmet(e); reason != "" {
		return Finding{Reason: reason, Message: message}
	}
	if expired {
		return Finding{Standing: Expired, Reason: ReasonExpired, At: at,
			Message: fmt.Sprintf("it passed %s ago, and the gate asks for at most %s", now.Sub(at).Round(time.Minute), r.maxAge)}
	}
	return Finding{Standing: Verified, Reason: ReasonPassed, At: at}
}

func failure(e Evidence) string {
	if e.Child != nil {
		return fmt.Sprintf("an index that lists it failed: kubectl revet explain %s -n %s", e.Entry, e.Namespace)
	}
	return fmt.Sprintf("it failed: kubectl revet explain %s -n %s", e.Entry, e.Namespace)
}

// unmet returns what a pass did not look at though the gate requires it.
func (r Rules) unmet(e Evidence) (Reason, string) {
	v := e.Verdict
	for _, check := range r.checks {
		if slices.Contains(v.Off, check) || !slices.Contains(v.Checks, check) {
			return ReasonCheckOff, fmt.Sprintf("the check %q did not look at it", check)
		}
	}
	if r.sandboxed && !Sandboxed(v.Sandbox) {
		return ReasonNotSandboxed, "its run did not execute in a RuntimeClass"
	}
	if r.databaseMaxAge > 0 {
		switch {
		case v.Database == nil || v.Database.AsOf == nil:
			return ReasonDatabase, "nobody knows how old the vulnerability database was"
		case v.Database.AsOf.After(v.At.Add(futureSkew)):
			return ReasonDatabase, "the vulnerability database claims to be newer than the verdict"
		case v.At.Sub(v.Database.AsOf.Time) > r.databaseMaxAge:
			return ReasonDatabase, fmt.Sprintf("the vulnerability database was %s old", v.At.Sub(v.Database.AsOf.Time).Round(time.Hour))
		}
	}
	return r.unseen(e)
}

// unseen returns what is missing of the platforms.
func (r Rules) unseen(e Evidence) (Reason, string) {
	if e.Child != nil {
		if !LookedAt(e.Verdict, e.Child) {
			return ReasonPlatform, "the run of its index did not look at it"
		}
		if own, ok := platform(e.Child.Platform); len(r.platforms) > 0 && (!ok || !slices.Contains(r.platforms, own)) {
			return ReasonPlatform, fmt.Sprintf("its platform is %q, which the gate does not list", e.Child.Platform)
		}
		return "", ""
	}
	if len(r.platforms) == 0 {
		return "", ""
	}
	seen := platforms(e.Verdict)
	if !e.Index && len(seen) == 1 && e.Verdict.Unselected == 0 && e.Verdict.PlatformsOmitted == 0 {
		if !slices.Contains(r.platforms, seen[0]) {
			return ReasonPlatform, fmt.Sprintf("its platform is %s, which the gate does not list", seen[0])
		}
		return "", ""
	}
	for _, p := range r.platforms {
		if !slices.Contains(seen, p) {
			return ReasonPlatform, fmt.Sprintf("nobody is known to have looked at it for %s", p)
		}
	}
	return "", ""
}

// LookedAt reports whether the run of an index is known to have looked at one of its images. That
// no image was left out is not asked: a pipeline that tells nothing would say so too.
func LookedAt(v *v1alpha1.Verdict, child *v1alpha1.ChildImage) bool {
	own, ok := platform(child.Platform)
	return ok && slices.Contains(platforms(v), own)
}

func platforms(v *v1alpha1.Verdict) []string {
	var all []string
	for _, p := range v.Platforms {
		if normal, ok := platform(p); ok {
			all = append(all, normal)
		}
	}
	return all
}

// Sandboxed reports whether a class was requested, and every Pod had it.
func Sandboxed(s v1alpha1.VerdictSandbox) bool {
	return s.Requested != "" && len(s.Observed) > 0 &&
		!slices.ContainsFunc(s.Observed, func(class string) bool { return class != s.Requested })
}

package chaos

import (
	"slices"
	"strings"
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// This file says a second time what a gate concludes, in plain words and for the gate of the
// play only. It must not use package gate: a fault of that one would be in both.

// plainly is what a digest stands as, said plainly.
type plainly struct {
	failed bool
	// passed is the time of the latest verdict that counts; zero if none does.
	passed time.Time
}

// String says it in words.
func (p plainly) String() string {
	switch {
	case p.failed:
		return "failed"
	case p.passed.IsZero():
		return "not passed"
	default:
		return "passed at " + p.passed.UTC().Format(time.RFC3339)
	}
}

// admits reports whether the digest may start.
func (p plainly) admits(now time.Time) bool {
	return !p.failed && p.passed.Add(gateMaxAge).After(now)
}

// expired reports whether it could if its verdict were younger.
func (p plainly) expired(now time.Time) bool {
	return !p.failed && !p.passed.IsZero() && !p.admits(now)
}

// isAbout reports whether the digest passes from admitted to expired about a time: the map may
// be behind by a minute then.
func (p plainly) expiresAbout(now time.Time) bool {
	end := p.passed.Add(gateMaxAge)
	return !p.passed.IsZero() && now.After(end.Add(-expirySlack)) && now.Before(end.Add(time.Minute))
}

// plainDigests says of each digest of the ledger, as 64 hexadecimal digits, what it stands as:
// passed in a trusted entry, with all that the gate asks for, and failed in none.
func plainDigests(entries []v1alpha1.ImageVerification) map[string]plainly {
	all := map[string]plainly{}
	for i := range entries {
		e := &entries[i]
		if e.Status.Verdict == nil || !plainlyTrusted(e) {
			continue
		}
		all[bare(e.Spec.Digest)] = all[bare(e.Spec.Digest)].and(e.Status.Verdict, gatePlatform)
		if e.Status.Image == nil {
			continue
		}
		for _, c := range e.Status.Image.Children {
			all[bare(c.Digest)] = all[bare(c.Digest)].and(e.Status.Verdict, c.Platform)
		}
	}
	return all
}

func plainlyTrusted(e *v1alpha1.ImageVerification) bool {
	return isTrusted(e.Spec.Trigger.Name) && e.Namespace == gateNamespace(e.Spec.Trigger.Name)
}

func bare(digest string) string { return strings.TrimPrefix(digest, "sha256:") }

// and adds a verdict about the digest, whose image is for a platform.
func (p plainly) and(v *v1alpha1.Verdict, platform string) plainly {
	if v.Outcome == v1alpha1.OutcomeFail {
		p.failed = true
	}
	looked := platform == gatePlatform && slices.Contains(v.Platforms, gatePlatform)
	checked := slices.Contains(v.Checks, gateCheck) && !slices.Contains(v.Off, gateCheck)
	boxed := v.Sandbox.Requested == runtimeClass && slices.Equal(v.Sandbox.Observed, []string{runtimeClass})
	if v.Outcome == v1alpha1.OutcomePass && looked && checked && boxed && v.At.After(p.passed) {
		p.passed = v.At.Time
	}
	return p
}

// plainTags says which digest, as 64 hexadecimal digits, each tag was pushed to last, by
// host/path:tag.
func plainTags(entries []v1alpha1.ImageVerification) map[string]string {
	digests, times := map[string]string{}, map[string]time.Time{}
	for i := range entries {
		e := &entries[i]
		if !plainlyTrusted(e) {
			continue
		}
		pushes := []v1alpha1.PushRecord{e.Spec.FirstPush}
		for _, t := range e.Status.Tags {
			pushes = append(pushes, t.PushRecord)
		}
		for _, p := range pushes {
			if name := e.Spec.Repository.Name + ":" + p.Tag; p.PushedAt.After(times[name]) {
				digests[name], times[name] = bare(e.Spec.Digest), p.PushedAt.Time
			}
		}
	}
	return digests
}

// plainlyStarts says of a reference to a tag, or of a digest, whether it may start now: what
// expired may if it ran.
func plainlyStarts(all map[string]plainly, ran map[string]string, hex string, now time.Time) bool {
	_, did := ran[hex]
	return all[hex].admits(now) || all[hex].expired(now) && did
}

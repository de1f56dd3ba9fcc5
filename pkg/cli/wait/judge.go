package wait

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/command"
	"github.com/revet-dev/revet/pkg/gate"
)

// pushed is an image that somebody pushed and waits for.
type pushed struct {
	// arg is as it was typed.
	arg string
	// queries find its entries; the first that finds any counts.
	queries []command.Query
	digest  string
	// repository is set instead where the digest is the one that claims the revision.
	repository string
	// file is the name of its file in --digest-files.
	file string
}

// path is the repository's.
func (p *pushed) path() string {
	if p.repository != "" {
		return p.repository
	}
	return p.queries[0].Repository
}

// parse reads IMAGE@DIGEST. A name is tried as it was typed, as Revet names an ImageStream,
// and then as kubelets complete it: nginx is docker.io/library/nginx.
func parse(arg string) (pushed, error) {
	q, err := command.ParseQuery(arg)
	if err != nil {
		return pushed{}, err
	}
	if q.Digest == "" || q.Repository == "" {
		return pushed{}, command.Usagef("%q is not IMAGE@DIGEST; a tag may stand for another digest once it is deployed. "+
			"Build tools print the digest that they pushed, and so does: crane digest IMAGE:TAG", arg)
	}
	p := pushed{arg: arg, queries: []command.Query{q}, digest: q.Digest}
	if name, err := gate.Normalize(arg); err == nil && name.Repository != q.Repository {
		p.queries = append(p.queries, command.Query{Repository: name.Repository, Digest: q.Digest})
	}
	return p, nil
}

// The kinds of states. The zero value is that nothing is known.
const (
	waiting = iota
	passed
	failed
	// undecided: there is no verdict, and none to come by itself.
	undecided
	// ambiguous: several digests claim the revision.
	ambiguous
)

// state is what the ledger says of one image.
type state struct {
	kind int
	// text says it in words; cure is what to do about it.
	text, cure string
	// entries are those that decided.
	entries []v1alpha1.ImageVerification
	// digest is the image's; empty as long as none claims the revision.
	digest string
}

// byDigest is the field of ImageVerifications that the API server selects by.
const byDigest = "spec.digest"

// entries returns the entries of an image. API servers before Kubernetes 1.31, and those
// with an earlier definition of ImageVerification, do not select by digest.
func (w *waiter) entries(ctx context.Context, p pushed) ([]v1alpha1.ImageVerification, error) {
	in := w.cluster.Namespace
	var l v1alpha1.ImageVerificationList
	err := w.cluster.List(ctx, &l, client.InNamespace(in), client.MatchingFields{byDigest: p.digest})
	if apierrors.IsBadRequest(err) {
		err = w.cluster.List(ctx, &l, client.InNamespace(in))
	}
	if err != nil {
		return nil, command.ReadError("listing ImageVerifications", in, err)
	}
	var mine []v1alpha1.ImageVerification
	for i := range l.Items {
		if w.counts(&l.Items[i]) {
			mine = append(mine, l.Items[i])
		}
	}
	for _, q := range p.queries {
		if found, _ := q.Find(mine); len(found) > 0 {
			return found, nil
		}
	}
	return nil, nil
}

// counts reports whether an entry is of a trigger whose verdict counts.
func (w *waiter) counts(e *v1alpha1.ImageVerification) bool {
	return w.trigger == "" || e.Spec.Trigger.Name == w.trigger
}

// judge says what the entries of one image come to: a failure outweighs everything, what is
// under way is waited for, and what has no verdict is none. An entry that was left out
// decides nothing, as long as another one does.
func (w *waiter) judge(entries []v1alpha1.ImageVerification) state {
	var left, none, open, good []v1alpha1.ImageVerification
	for i := range entries {
		e := &entries[i]
		switch {
		case !command.Settled(e):
			open = append(open, *e)
		case e.Phase() == v1alpha1.PhaseFailed:
			return w.about(failed, e)
		case e.Phase() == v1alpha1.PhaseSkipped:
			left = append(left, *e)
		case e.Phase() != v1alpha1.PhasePassed:
			none = append(none, *e)
		case proven(e):
			good = append(good, *e)
		default:
			none = append(none, *e)
		}
	}
	switch {
	case len(open) > 0:
		return w.about(waiting, &open[0])
	case len(none) > 0:
		return w.about(undecided, &none[0])
	case len(good) > 0:
		return w.fresh(good)
	case len(left) > 0:
		return w.about(undecided, &left[0])
	}
	return state{kind: waiting, text: "not recorded yet", cure: fmt.Sprintf(
		"does an ImageTrigger select it? kubectl revet doctor -n %s; a digest that nobody pushes: kubectl revet verify", w.cluster.Namespace)}
}

// proven reports whether an entry in phase Passed has a verdict that says so. One that an
// earlier version of Revet judged has none.
func proven(e *v1alpha1.ImageVerification) bool {
	return e.Status.Verdict != nil && e.Status.Verdict.Outcome == v1alpha1.OutcomePass
}

// futureSkew is by how much clocks may differ.
const futureSkew = 5 * time.Minute

// fresh says that an image passed, if every verdict is young enough.
func (w *waiter) fresh(good []v1alpha1.ImageVerification) state {
	for i := range good {
		e := &good[i]
		age := w.env.Now().Sub(e.Status.Verdict.At.Time)
		text := ""
		switch {
		case w.maxAge <= 0:
			continue
		case age < -futureSkew:
			text = fmt.Sprintf("it passed at %s, which has not come; check the clocks", e.Status.Verdict.At.UTC().Format(time.RFC3339))
		case age >= w.maxAge:
			text = fmt.Sprintf("it passed %s ago, which is longer than %s", age.Round(time.Minute), w.maxAge)
		default:
			continue
		}
		return state{kind: waiting, text: text,
			cure: fmt.Sprintf("have it verified again: kubectl revet replay %s -n %s", e.Name, e.Namespace)}
	}
	return state{kind: passed, text: "Passed", entries: good}
}

// about says where one entry stands.
func (w *waiter) about(kind int, e *v1alpha1.ImageVerification) state {
	s := state{kind: kind, text: command.State(e), entries: []v1alpha1.ImageVerification{*e},
		cure: fmt.Sprintf("see: kubectl revet explain %s -n %s", e.Name, e.Namespace)}
	switch {
	case kind == undecided && e.Phase() == v1alpha1.PhasePassed:
		s.text = "Passed, but there is no record of what the verdict rests on"
		s.cure = fmt.Sprintf("have it verified again: kubectl revet replay %s -n %s", e.Name, e.Namespace)
	case kind == undecided:
		if cure := command.CureOf(e.Status.Reason, e.Status.Message); cure != "" {
			s.cure = "cure: " + cure
		}
	}
	return s
}

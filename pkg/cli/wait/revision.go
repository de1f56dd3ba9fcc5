package wait

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/command"
)

// byRevision are the fields of ImageVerifications that the API server selects by. An entry
// that has both means the second.
var byRevision = []string{"spec.image.claimedRevision", "status.image.claimedRevision"}

// parseRepository reads a repository whose digest the ledger knows by its revision. Only a
// name in full is taken: what a short one stands for depends on what else is recorded.
func parseRepository(arg string) (pushed, error) {
	if strings.Contains(arg, "@") {
		return parse(arg)
	}
	if i := strings.LastIndexByte(arg, ':'); i > strings.LastIndexByte(arg, '/') {
		return pushed{}, command.Usagef("%q has a tag; with --revision, name the repository without, "+
			"or the digest: IMAGE@DIGEST", arg)
	}
	if host, path, _ := strings.Cut(arg, "/"); host == "" || path == "" {
		return pushed{}, command.Usagef("%q is no repository; with --revision, name it in full: "+
			"registry.example.com/shop/web, or NAMESPACE/NAME of an ImageStream", arg)
	}
	return pushed{arg: arg, repository: arg}, nil
}

// inRepository reports whether an entry is of a repository. Unlike an image that is named by
// its digest, it is not looked for under another host: whoever may push there could choose.
func inRepository(e *v1alpha1.ImageVerification, repository string) bool {
	r := &e.Spec.Repository
	return r.Name == repository || r.Pull == repository || slices.Contains(r.Names, repository)
}

// claimed returns the entries of the triggers that count whose images claim the revision. API
// servers that do not select by it, as those before Kubernetes 1.31, are asked for everything.
func (w *waiter) claimed(ctx context.Context) ([]v1alpha1.ImageVerification, error) {
	found := map[string]v1alpha1.ImageVerification{}
	add := func(e *v1alpha1.ImageVerification) {
		if facts := e.ImageFacts(); facts != nil && facts.ClaimedRevision == w.revision && w.counts(e) {
			found[e.Name] = *e
		}
	}
	for _, field := range byRevision {
		err := w.each(ctx, add, client.MatchingFields{field: w.revision})
		if apierrors.IsBadRequest(err) {
			err = w.each(ctx, add)
		}
		if err != nil {
			return nil, command.ReadError("listing ImageVerifications", w.cluster.Namespace, err)
		}
	}
	return slices.SortedFunc(maps.Values(found), func(a, b v1alpha1.ImageVerification) int {
		return strings.Compare(a.Name, b.Name)
	}), nil
}

// pageSize is how many entries one answer of the API server has.
const pageSize = 500

// each calls f for every entry of the namespace that is selected, a page at a time.
func (w *waiter) each(ctx context.Context, f func(*v1alpha1.ImageVerification), selected ...client.ListOption) error {
	var l v1alpha1.ImageVerificationList
	for {
		opts := append([]client.ListOption{client.InNamespace(w.cluster.Namespace), client.Limit(pageSize)}, selected...)
		opts = append(opts, client.Continue(l.Continue))
		l = v1alpha1.ImageVerificationList{}
		if err := w.cluster.List(ctx, &l, opts...); err != nil {
			return err
		}
		for i := range l.Items {
			f(&l.Items[i])
		}
		if l.Continue == "" {
			return nil
		}
	}
}

// judgeRevision says what the entries of one repository that claim the revision come to. They
// have to be of one digest: which of several is meant, nobody knows who reads the ledger.
func (w *waiter) judgeRevision(repository string, claimed []v1alpha1.ImageVerification) state {
	byDigest := map[string][]v1alpha1.ImageVerification{}
	var left []v1alpha1.ImageVerification
	for i := range claimed {
		e := &claimed[i]
		switch {
		case !inRepository(e, repository):
		case command.Settled(e) && e.Phase() == v1alpha1.PhaseSkipped:
			left = append(left, *e)
		default:
			byDigest[e.Spec.Digest] = append(byDigest[e.Spec.Digest], *e)
		}
	}
	var states []state
	for digest, entries := range byDigest {
		s := w.judge(entries)
		s.digest = digest
		states = append(states, s)
	}
	slices.SortFunc(states, func(a, b state) int { return strings.Compare(a.digest, b.digest) })
	switch {
	case len(states) == 1:
		return states[0]
	case len(states) > 1:
		return w.ambiguous(states)
	case len(left) > 0:
		return w.judge(left)
	}
	return state{kind: waiting, text: "no image of it claims revision " + w.revision, cure: fmt.Sprintf(
		"is it built with the label org.opencontainers.image.revision, and does an ImageTrigger select it? "+
			"kubectl revet explain IMAGE -n %s shows what it claims", w.cluster.Namespace)}
}

// ambiguous says that several digests claim the revision. One that is not decided may yet be
// left out.
func (w *waiter) ambiguous(states []state) state {
	all := state{kind: ambiguous, cure: "name the one that is meant: IMAGE@DIGEST"}
	var names []string
	for _, s := range states {
		if s.kind == waiting {
			all.kind = waiting
		}
		names = append(names, fmt.Sprintf("%s (%s)", s.digest, s.text))
	}
	all.text = fmt.Sprintf("%d digests claim revision %s: %s", len(states), w.revision, strings.Join(names, ", "))
	return all
}

// notReplaced returns an error if a digest that was first pushed later passed, too, in one of
// the repositories: what is older would replace it.
func (w *waiter) notReplaced(ctx context.Context) error {
	newer := make([]*v1alpha1.ImageVerification, len(w.images))
	err := w.each(ctx, func(e *v1alpha1.ImageVerification) {
		for i, p := range w.images {
			if p.repository != "" && w.counts(e) && !e.IsManual() && proven(e) && inRepository(e, p.repository) &&
				e.Spec.Digest != w.states[i].digest && w.states[i].pushedBefore(e) {
				newer[i] = e.DeepCopy()
			}
		}
	})
	if err != nil {
		return command.ReadError("listing ImageVerifications", w.cluster.Namespace, err)
	}
	for i, e := range newer {
		if e != nil {
			return fmt.Errorf("revision %s is not the newest: in %s, %s was pushed later and passed; see: kubectl revet explain %s -n %s",
				w.revision, w.images[i].arg, e.Spec.Digest, e.Name, e.Namespace)
		}
	}
	return nil
}

// pushedBefore reports whether the entries that decided were all recorded for a push before
// the first push of another entry.
func (s *state) pushedBefore(other *v1alpha1.ImageVerification) bool {
	return !slices.ContainsFunc(s.entries, func(e v1alpha1.ImageVerification) bool {
		return !e.Spec.FirstPush.PushedAt.Before(&other.Spec.FirstPush.PushedAt)
	})
}

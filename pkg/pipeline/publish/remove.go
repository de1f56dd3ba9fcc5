package publish

import (
	"context"
	"errors"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/revet-dev/revet/pkg/failpoint"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

// Remove removes artefacts about subject, by the digests of their manifests: from the list
// under the fallback tag, and from the registry. What is not there is removed already. Remove
// returns once the registry lists none of them, now and after a pause.
//
// A registry that refuses to delete gives ReasonDenied or ReasonPushRefused. The artefacts are
// then no longer in the list under the fallback tag, if it let that be written.
func (r *Registry) Remove(ctx context.Context, subject image.Digest, manifests ...image.Digest) error {
	reader, err := r.open(ctx)
	if err != nil {
		return notRemoved(ctx, subject, err)
	}
	options := append([]remote.Option{remote.WithContext(ctx)}, r.options...)
	return notRemoved(ctx, subject, r.remove(ctx, reader, subject, manifests, options))
}

func (r *Registry) remove(ctx context.Context, reader *fetch.Registry, subject image.Digest, manifests []image.Digest, options []remote.Option) error {
	list, err := r.fallback(subject, options)
	if err != nil {
		return err
	}
	list.drop = manifests
	seen := 0
	for attempt := range attempts {
		if seen == 0 {
			unlisted := list.update(ctx)
			failpoint.Hit("publish.unlisted")
			if err := errors.Join(unlisted, r.erase(manifests, options)); err != nil {
				return err
			}
		}
		listed, err := listsAny(ctx, reader, subject, manifests)
		if err != nil {
			return err
		}
		complete, err := list.complete()
		switch {
		case err != nil:
			return err
		case listed || !complete:
			seen = 0
		case seen == 1:
			return nil
		default:
			seen++
		}
		if err := r.rest(ctx, attempt); err != nil {
			return err
		}
	}
	return errors.New("other writers kept replacing the list of referrers with one that names it")
}

// erase deletes manifests.
func (r *Registry) erase(manifests []image.Digest, options []remote.Option) error {
	for _, m := range manifests {
		digest := r.repository.Digest(m.String())
		err := remote.Delete(digest, options...)
		// Some registries answer with a refusal for what they do not have.
		if err != nil && !notFound(err) && !gone(digest, options) {
			return err
		}
	}
	return nil
}

func listsAny(ctx context.Context, reader *fetch.Registry, subject image.Digest, manifests []image.Digest) (bool, error) {
	all, err := reader.Referrers(ctx, subject)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(all, func(r fetch.Referrer) bool { return slices.Contains(manifests, r.Digest) }), nil
}

// fallbackTag is where clients list the referrers of subject if the registry has no API.
func fallbackTag(r name.Repository, subject image.Digest) name.Tag {
	return r.Tag("sha256-" + subject.Hex())
}

func notRemoved(ctx context.Context, subject image.Digest, err error) error {
	if err == nil {
		return nil
	}
	what := "artefact about " + subject.String()
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return oci.Errorf(oci.ReasonTimedOut, what, "time ran out while removing it: %w", err)
	}
	if fetch.Refused(err) {
		return oci.Errorf(oci.ReasonPushRefused, what,
			"the registry refuses to delete it, and would again; let it delete manifests, or have somebody who may delete it there: %w", err)
	}
	return fetch.Classify(what, err)
}

package registry

import (
	"context"
	"fmt"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/revet-dev/revet/pkg/image"
)

// pageSize is how many names one page of a list may have; registries may give
// fewer. A page is bounded like any other answer.
const pageSize = 1000

// Tags calls each with the tags of a repository, as the registry names them.
func (c *Client) Tags(ctx context.Context, r image.Repository, as Credentials, each func(claimed string)) error {
	what := fmt.Sprintf("the tags of %s", r)
	repository, err := c.repository(r, as)
	if err != nil {
		return classify(what, err)
	}
	puller, err := c.lister(ctx, as)
	if err != nil {
		return classify(what, err)
	}
	pages, err := puller.Lister(ctx, repository)
	if err != nil {
		return classify(what, err)
	}
	for pages.HasNext() {
		page, err := pages.Next(ctx)
		if err != nil {
			return classify(what, err)
		}
		for _, tag := range page.Tags {
			each(tag)
		}
	}
	return nil
}

// Repositories calls each with the repositories of a host's catalogue. A name
// that is no repository's is passed over.
func (c *Client) Repositories(ctx context.Context, host string, as Credentials, each func(image.Repository)) error {
	what := fmt.Sprintf("the catalogue of %s", host)
	insecure, ok := c.policy(host, as.Namespace)
	if !ok {
		return classify(what, &notAllowedError{host, as.Namespace, "is not listed"})
	}
	options := []name.Option{name.StrictValidation}
	if insecure {
		options = append(options, name.Insecure)
	}
	registry, err := name.NewRegistry(host, options...)
	if err != nil {
		return classify(what, fmt.Errorf("%w: %w", errInvalid, err))
	}
	puller, err := c.lister(ctx, as)
	if err != nil {
		return classify(what, err)
	}
	pages, err := puller.Catalogger(ctx, registry)
	if err != nil {
		return classify(what, err)
	}
	for pages.HasNext() {
		page, err := pages.Next(ctx)
		if err != nil {
			return classify(what, err)
		}
		for _, path := range page.Repos {
			if r, err := image.ParseRepository(host + "/" + path); err == nil {
				each(r)
			}
		}
	}
	return nil
}

func (c *Client) lister(ctx context.Context, as Credentials) (*remote.Puller, error) {
	puller, err := remote.NewPuller(append(c.options(ctx, as), remote.WithPageSize(pageSize))...)
	if err != nil {
		return nil, fmt.Errorf("making a lister: %w", err)
	}
	return puller, nil
}

package tree

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	stereofile "github.com/anchore/stereoscope/pkg/file"
	"github.com/anchore/stereoscope/pkg/filetree"
	"github.com/anchore/syft/syft/file"
)

var _ file.Resolver = (*Tree)(nil)

// HasPath implements file.Resolver.
func (t *Tree) HasPath(name string) bool {
	return t.tree.HasPath(stereofile.Path(name), filetree.FollowBasenameLinks)
}

// FilesByPath implements file.Resolver.
func (t *Tree) FilesByPath(names ...string) ([]file.Location, error) {
	var found locations
	for _, name := range names {
		r, err := t.search.SearchByPath(name, filetree.FollowBasenameLinks)
		if err != nil {
			return nil, fmt.Errorf("look for %q: %w", name, err)
		}
		if r != nil {
			t.take(&found, *r, name)
		}
	}
	return found.all, nil
}

// FilesByGlob implements file.Resolver.
func (t *Tree) FilesByGlob(patterns ...string) ([]file.Location, error) {
	var found locations
	for _, pattern := range patterns {
		all, err := t.search.SearchByGlob(pattern, filetree.FollowBasenameLinks)
		if err != nil {
			return nil, fmt.Errorf("look for %q: %w", pattern, err)
		}
		for _, r := range all {
			t.take(&found, r, string(r.RequestPath))
		}
	}
	return found.all, nil
}

// FilesByMIMEType implements file.Resolver. It knows only the types of programs.
func (t *Tree) FilesByMIMEType(types ...string) ([]file.Location, error) {
	all, err := t.search.SearchByMIMEType(types...)
	if err != nil {
		return nil, fmt.Errorf("look for files by their type: %w", err)
	}
	var found locations
	for _, r := range all {
		t.take(&found, r, string(r.RequestPath))
	}
	return found.all, nil
}

// locations is a list of files without duplicates.
type locations struct {
	all  []file.Location
	seen map[stereofile.ID]bool
}

// take adds the file that a name leads to, if any.
func (t *Tree) take(to *locations, r stereofile.Resolution, name string) {
	if !r.HasReference() || to.seen[r.ID()] {
		return
	}
	entry, err := t.index.Get(*r.Reference)
	if err != nil || entry.Type != stereofile.TypeRegular {
		return
	}
	if to.seen == nil {
		to.seen = map[stereofile.ID]bool{}
	}
	to.seen[r.ID()] = true
	to.all = append(to.all, file.NewVirtualLocationFromDirectory(string(r.RealPath), name, *r.Reference))
}

// RelativeFileByPath implements file.Resolver.
func (t *Tree) RelativeFileByPath(_ file.Location, name string) *file.Location {
	all, err := t.FilesByPath(name)
	if err != nil || len(all) == 0 {
		return nil
	}
	return &all[0]
}

// FileContentsByLocation implements file.Resolver.
func (t *Tree) FileContentsByLocation(l file.Location) (io.ReadCloser, error) {
	entry, err := t.index.Get(l.Reference())
	if err != nil {
		return nil, fmt.Errorf("%q: %w", l.RealPath, err)
	}
	if entry.Type != stereofile.TypeRegular {
		return nil, fmt.Errorf("%q is not a regular file", l.RealPath)
	}
	name := strings.TrimPrefix(string(entry.RealPath), "/")
	if why := t.hidden[name]; why != "" {
		return nil, fmt.Errorf("%q is hidden: %s", l.RealPath, why)
	}
	found, ok := t.layers.Lookup(name)
	if !ok {
		return nil, fmt.Errorf("%q: %w", l.RealPath, os.ErrNotExist)
	}
	f, err := t.layers.Open(found)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", l.RealPath, err)
	}
	return content{f}, nil
}

// FileMetadataByLocation implements file.Resolver.
func (t *Tree) FileMetadataByLocation(l file.Location) (file.Metadata, error) {
	entry, err := t.index.Get(l.Reference())
	if err != nil {
		return file.Metadata{}, fmt.Errorf("%q: %w", l.RealPath, os.ErrNotExist)
	}
	return entry.Metadata, nil
}

// AllLocations implements file.Resolver.
func (t *Tree) AllLocations(ctx context.Context) <-chan file.Location {
	results := make(chan file.Location)
	go func() {
		defer close(results)
		for _, ref := range t.tree.AllFiles(stereofile.AllTypes()...) {
			select {
			case <-ctx.Done():
				return
			case results <- file.NewLocationFromDirectory(string(ref.RealPath), "", ref):
			}
		}
	}()
	return results
}

// content is the content of a file. Readers of programs need to seek in it.
type content struct{ *io.SectionReader }

// Close implements io.Closer.
func (content) Close() error { return nil }

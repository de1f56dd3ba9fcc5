package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/source"
)

const (
	// pageSize is how many names a page is asked for. Registries may give fewer, or more.
	pageSize = 1000
	// suspiciousPage is the smallest page after which a registry may have left out the link
	// to the next one. From this size on, one more request asks for what comes after it.
	suspiciousPage = 2
	// maxBarren is how many pages in a row may bring nothing new.
	maxBarren = 10
)

// listBounds bound one list. A list above a bound is an error, never a shorter list. One
// page is bounded like any other answer.
type listBounds struct {
	names int
	bytes int64
	pages int
	// time is how long a list may wait for the registry. What the caller does with each
	// name does not count.
	time time.Duration
}

var defaultListBounds = listBounds{names: 500_000, bytes: 64 << 20, pages: 10_000, time: 3 * time.Minute}

// Tags calls each with the tags of a repository, as the registry names them. After an
// error the list is not complete.
func (c *Client) Tags(ctx context.Context, r image.Repository, as Credentials, each func(claimed string)) error {
	what := fmt.Sprintf("the tags of %s", r)
	s, err := c.repository(ctx, r, as)
	if err != nil {
		return classify(what, err)
	}
	l := &list{session: s, bounds: c.lists, path: s.path + "/tags/list", key: "tags", each: each}
	return classify(what, l.read(ctx))
}

// Repositories calls each with the repositories of a host's catalogue. It passes over a
// name that is not a repository's. After an error the list is not complete.
func (c *Client) Repositories(ctx context.Context, host string, as Credentials, each func(image.Repository)) error {
	what := fmt.Sprintf("the catalogue of %s", host)
	s, err := c.catalogue(ctx, host, as)
	if err != nil {
		return classify(what, err)
	}
	l := &list{session: s, bounds: c.lists, path: s.path + "/_catalog", key: "repositories", each: func(path string) {
		if r, err := image.ParseRepository(host + "/" + path); err == nil {
			each(r)
		}
	}}
	return classify(what, l.read(ctx))
}

// list reads a list page by page.
type list struct {
	*session
	bounds listBounds
	path   string // of the list, as it stands in addresses
	key    string // of the names in a page
	each   func(string)

	seen   map[string]bool // names
	asked  map[string]bool // addresses
	pages  int
	bytes  int64
	waited time.Duration
	barren int // pages in a row that brought nothing new
}

// page is one page of a list.
type page struct {
	names []string
	// next is the address of the next page, as the registry links it. Nil ends the list.
	next *url.URL
}

// read calls each once with each name of all pages.
func (l *list) read(ctx context.Context) error {
	l.seen, l.asked = map[string]bool{}, map[string]bool{}
	p, err := l.page(ctx, l.address(""))
	for {
		if err != nil {
			return l.incomplete(err)
		}
		fresh, more := l.take(p), p.next != nil
		switch {
		case more:
			p, err = l.page(ctx, p.next)
		case fresh > 0 && len(p.names) >= suspiciousPage:
			p, more, err = l.after(ctx, p)
		}
		if !more && err == nil {
			return nil
		}
	}
}

// address returns the address of the page that begins after a name, or of the first page.
func (l *list) address(last string) *url.URL {
	query := url.Values{"n": {strconv.Itoa(pageSize)}}
	if last != "" {
		query.Set("last", last)
	}
	return &url.URL{Path: l.path, RawQuery: query.Encode()}
}

// incomplete says that a list broke off. A later page must not look like a repository that
// does not exist.
func (l *list) incomplete(err error) error {
	var status *transport.Error
	switch {
	case l.pages == 0 && errors.As(err, &status):
		return err
	case reason(err) == source.NotFound:
		return fmt.Errorf("%w: %v", source.ErrIncomplete, err) //nolint:errorlint // the reason is cut off
	default:
		return fmt.Errorf("%w: %w", source.ErrIncomplete, err)
	}
}

// take calls each with the names that are new, and returns how many there are.
func (l *list) take(p page) (fresh int) {
	for _, n := range p.names {
		if !l.seen[n] {
			l.seen[n] = true
			fresh++
			l.each(n)
		}
	}
	if l.barren++; fresh > 0 {
		l.barren = 0
	}
	return fresh
}

// after asks for what comes after a page that has no link to the next one. more is false if
// nothing does.
func (l *list) after(ctx context.Context, p page) (following page, more bool, err error) {
	following, err = l.page(ctx, l.address(p.names[len(p.names)-1]))
	if cannotContinue(err) {
		return page{}, false, nil
	}
	if err != nil {
		return page{}, false, err
	}
	if slices.ContainsFunc(following.names, func(n string) bool { return !l.seen[n] }) {
		return following, true, nil
	}
	if len(p.names) == pageSize && len(following.names) > 0 {
		return page{}, false, fmt.Errorf("the registry gives %d names, without a link to more, and known names when asked for what follows", pageSize)
	}
	return page{}, false, nil
}

// cannotContinue reports whether the registry does not know how to continue a list after a
// name. Any other refusal leaves open what comes after it.
func cannotContinue(err error) bool {
	var status *transport.Error
	if !errors.As(err, &status) {
		return false
	}
	switch status.StatusCode {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed,
		http.StatusUnprocessableEntity, http.StatusNotImplemented:
		return true
	default:
		return false
	}
}

// page reads one page within what is left of the bounds.
func (l *list) page(ctx context.Context, next *url.URL) (page, error) {
	u := l.base.ResolveReference(next)
	switch {
	case l.asked[u.String()]:
		return page{}, fmt.Errorf("the pages go in circles: %q comes up again", u.RequestURI())
	case l.pages >= l.bounds.pages:
		return page{}, fmt.Errorf("%w: it has more than %d pages", errInvalid, l.bounds.pages)
	case l.barren >= maxBarren:
		return page{}, fmt.Errorf("%w: %d pages in a row bring nothing new", errInvalid, l.barren)
	case l.waited >= l.bounds.time:
		return page{}, fmt.Errorf("the registry took longer than %s", l.bounds.time)
	}
	l.asked[u.String()] = true
	begun := time.Now()
	ctx, cancel := context.WithTimeout(ctx, l.bounds.time-l.waited)
	defer cancel()
	a, err := l.get(ctx, u)
	l.waited += time.Since(begun)
	if err != nil {
		return page{}, err
	}
	l.bytes += int64(len(a.body))
	if l.bytes > l.bounds.bytes {
		return page{}, fmt.Errorf("%w: its pages are larger than %d bytes", errInvalid, l.bounds.bytes)
	}
	p, err := l.decode(a.body)
	if err != nil {
		return page{}, err
	}
	if len(l.seen)+len(p.names) > l.bounds.names {
		return page{}, fmt.Errorf("%w: it has more than %d names", errInvalid, l.bounds.names)
	}
	l.pages++
	p.next, err = nextPage(u, a.header)
	return p, err
}

// decode reads a page. An empty list may be null, or left out beside the repository's name.
func (l *list) decode(body []byte) (page, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return page{}, fmt.Errorf("the page is not a whole JSON object: %w", err)
	}
	raw, ok := fields[l.key]
	if _, named := fields["name"]; !ok && !named {
		return page{}, fmt.Errorf("the page has no %q", l.key)
	}
	var p page
	if ok {
		if err := json.Unmarshal(raw, &p.names); err != nil {
			return page{}, fmt.Errorf("the page's %q: %w", l.key, err)
		}
	}
	return p, nil
}

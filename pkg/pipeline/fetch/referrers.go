package fetch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

// The limits on a list of referrers.
const (
	// MaxReferrers is the maximum number of referrers of one image.
	MaxReferrers = 1000
	// maxReferrerBytes bounds all pages of the list together.
	maxReferrerBytes = 4 << 20
	maxReferrerPages = 100
)

// cureReferrers ends messages about lists that are too long to read.
const cureReferrers = "delete referrers of the image that nobody needs, such as old attestations and reports"

// Referrer is something that claims to be about an image.
type Referrer struct {
	Digest image.Digest
	// The list claims the following fields. They are no more than hints: for example, some
	// registries report the type of an artefact's configuration as the type of the artefact.
	ArtifactType string
	Annotations  map[string]string
}

// Referrers lists the referrers of d. If the registry has no referrers API, it reads the list under
// the tag sha256-HEX, which clients write. The answer is complete, or else an error: an unreadable
// list is not an empty one.
func (r *Registry) Referrers(ctx context.Context, d image.Digest) ([]Referrer, error) {
	l := list{subject: "referrers of " + d.String(), left: maxReferrerBytes, seen: map[string]bool{}, known: map[image.Digest]bool{}}
	next := r.url(resource{kind: "referrers", name: d.String()})
	for page := 1; next != nil; page++ {
		// Only the first page shows whether the registry has such a list.
		var others []int
		if page == 1 {
			others = withoutReferrers
		}
		a, err := l.read(ctx, r, next, others...)
		if err != nil {
			return nil, explain(ctx, err)
		}
		if a.status != http.StatusOK {
			return r.taggedReferrers(ctx, d, &l)
		}
		if err := l.add(a.body); err != nil {
			return nil, err
		}
		if next, err = l.next(a, page); err != nil {
			return nil, err
		}
	}
	return l.all, nil
}

// HasReferrers reports whether the registry has the referrers API. If it has not, clients that push
// a referrer of d add it to the list under the tag sha256-HEX.
func (r *Registry) HasReferrers(ctx context.Context, d image.Digest) (bool, error) {
	l := list{subject: "referrers of " + d.String(), left: maxReferrerBytes, seen: map[string]bool{}}
	a, err := l.read(ctx, r, r.url(resource{kind: "referrers", name: d.String()}), withoutReferrers...)
	if err != nil {
		return false, explain(ctx, err)
	}
	return a.status == http.StatusOK, nil
}

// withoutReferrers are the statuses of registries without the referrers API. The specification asks
// for 404.
var withoutReferrers = []int{
	http.StatusNotFound, http.StatusBadRequest, http.StatusMethodNotAllowed,
	http.StatusNotAcceptable, http.StatusNotImplemented,
}

// taggedReferrers reads the list that clients keep under a tag.
func (r *Registry) taggedReferrers(ctx context.Context, d image.Digest, l *list) ([]Referrer, error) {
	a, err := l.read(ctx, r, r.url(manifestAt("sha256-"+d.Hex())), http.StatusNotFound)
	if err != nil {
		return nil, explain(ctx, err)
	}
	if a.status == http.StatusNotFound {
		return nil, nil
	}
	return l.all, l.add(a.body)
}

// list collects what was read so far.
type list struct {
	subject string
	left    int64
	entries int
	seen    map[string]bool // the URLs of pages
	known   map[image.Digest]bool
	all     []Referrer
}

func (l *list) read(ctx context.Context, r *Registry, u *url.URL, others ...int) (answer, error) {
	l.seen[u.String()] = true
	a, err := r.read(ctx, u, strings.Join(oci.ManifestTypes(), ","), l.left, others...)
	l.left -= int64(len(a.body))
	switch {
	case err == nil && l.left >= 0:
		return a, nil
	case err == nil:
		return answer{}, oci.Errorf(oci.ReasonTooLarge, l.subject, "the list is larger than %d bytes; %s", maxReferrerBytes, cureReferrers)
	case isReason(err, oci.ReasonMissing):
		return answer{}, l.broken(err) // another page names this one
	default:
		return answer{}, classify(l.subject, err)
	}
}

// add adds a page. The page's fields show that it is a list, whatever its Content-Type says.
func (l *list) add(raw []byte) error {
	var page map[string]json.RawMessage
	var entries []struct {
		Digest       string            `json:"digest"`
		ArtifactType string            `json:"artifactType"`
		Annotations  map[string]string `json:"annotations"`
	}
	if err := json.Unmarshal(raw, &page); err != nil {
		return l.broken(fmt.Errorf("the registry's answer is not a list: %w", err))
	}
	manifests, ok := page["manifests"]
	if !ok {
		return l.broken(errors.New("the registry's answer is not a list: it has no field manifests"))
	}
	// Some registries write an empty list as null.
	if err := json.Unmarshal(manifests, &entries); err != nil {
		return l.broken(fmt.Errorf("the registry's answer is not a list: %w", err))
	}
	if l.entries += len(entries); l.entries > MaxReferrers {
		return oci.Errorf(oci.ReasonTooLarge, l.subject, "it has more than %d referrers; %s", MaxReferrers, cureReferrers)
	}
	for i, e := range entries {
		d, err := image.ParseDigest(e.Digest)
		if err != nil {
			return l.broken(fmt.Errorf("entry %d: %w", i+1, err))
		}
		if !l.known[d] {
			l.known[d] = true
			l.all = append(l.all, Referrer{Digest: d, ArtifactType: e.ArtifactType, Annotations: e.Annotations})
		}
	}
	return nil
}

// next returns the URL of the next page, or nil after the last one.
func (l *list) next(a answer, page int) (*url.URL, error) {
	target, more := nextLink(a.header.Values("Link"))
	if !more {
		return nil, nil
	}
	u, err := a.from.Parse(target)
	switch {
	case err != nil:
		return nil, l.broken(fmt.Errorf("page %d has an invalid link to the next page: %w", page, err))
	case u.Scheme != a.from.Scheme || u.Host != a.from.Host:
		return nil, oci.Errorf(oci.ReasonRefused, l.subject, "page %d leads to another host, %q", page, image.Cut(u.Host, 100))
	case l.seen[u.String()]:
		return nil, l.broken(fmt.Errorf("page %d leads back to an earlier page", page))
	case page == maxReferrerPages:
		return nil, oci.Errorf(oci.ReasonTooLarge, l.subject, "the list has more than %d pages; %s", maxReferrerPages, cureReferrers)
	}
	return u, nil
}

// broken returns the error for an incomplete list.
func (l *list) broken(err error) error {
	return oci.Errorf(oci.ReasonUnavailable, l.subject,
		"the list cannot be read to its end, so entries may be missing; ask whoever runs the registry: %w", err)
}

// nextLink returns the target of the link whose relation is next (RFC 8288).
func nextLink(headers []string) (target string, ok bool) {
	for _, rest := range headers {
		for {
			_, after, found := strings.Cut(rest, "<")
			if !found {
				break
			}
			at, parameters, found := strings.Cut(after, ">")
			if !found {
				break
			}
			// The parameters end where the next link starts.
			parameters, rest, _ = strings.Cut(parameters, "<")
			rest = "<" + rest
			if isNext(parameters) {
				return at, true
			}
			if rest == "<" {
				break
			}
		}
	}
	return "", false
}

func isNext(parameters string) bool {
	for p := range strings.SplitSeq(strings.ReplaceAll(parameters, ",", ";"), ";") {
		name, value, _ := strings.Cut(p, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "rel") {
			continue
		}
		for relation := range strings.FieldsSeq(strings.Trim(strings.TrimSpace(value), `"`)) {
			if strings.EqualFold(relation, "next") {
				return true
			}
		}
	}
	return false
}

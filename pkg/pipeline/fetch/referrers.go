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

// The bounds of a list of referrers.
const (
	// MaxReferrers is how many referrers one image may have.
	MaxReferrers = 1000
	// maxReferrerBytes bounds all pages of the list together.
	maxReferrerBytes = 4 << 20
	maxReferrerPages = 100
)

// cureReferrers ends messages about lists that are too long to be read.
const cureReferrers = "delete what nobody needs of what refers to the image, such as old attestations and reports"

// Referrer is something that says that it is about an image.
type Referrer struct {
	Digest image.Digest
	// What follows is claimed in the list. It is a hint at most: registries put the
	// type of an artefact's configuration for that of the artefact, for example.
	ArtifactType string
	Annotations  map[string]string
}

// Referrers lists what refers to d. Registries without the referrers API have a
// list under the tag sha256-HEX, which clients write. The answer is complete, or it
// is an error: what could not be read is not "none".
func (r *Registry) Referrers(ctx context.Context, d image.Digest) ([]Referrer, error) {
	l := list{subject: "referrers of " + d.String(), left: maxReferrerBytes, seen: map[string]bool{}, known: map[image.Digest]bool{}}
	next := r.url(resource{kind: "referrers", name: d.String()})
	for page := 1; next != nil; page++ {
		// Only the first page tells whether there is such a list.
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

// HasReferrers reports whether the registry has the referrers API. Without it, whoever
// pushes a referrer of d adds it to the list under the tag sha256-HEX.
func (r *Registry) HasReferrers(ctx context.Context, d image.Digest) (bool, error) {
	l := list{subject: "referrers of " + d.String(), left: maxReferrerBytes, seen: map[string]bool{}}
	a, err := l.read(ctx, r, r.url(resource{kind: "referrers", name: d.String()}), withoutReferrers...)
	if err != nil {
		return false, explain(ctx, err)
	}
	return a.status == http.StatusOK, nil
}

// withoutReferrers are the statuses by which registries say that they do not know
// the referrers API. The specification wants 404.
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

// list is what was read so far.
type list struct {
	subject string
	left    int64
	entries int
	seen    map[string]bool // addresses of pages
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
		return answer{}, oci.Errorf(oci.ReasonTooLarge, l.subject, "the list has more than %d bytes; %s", maxReferrerBytes, cureReferrers)
	case isReason(err, oci.ReasonMissing):
		return answer{}, l.broken(err) // it is a page that another one names
	default:
		return answer{}, classify(l.subject, err)
	}
}

// add adds a page. It is a list by its fields, whatever its Content-Type says.
func (l *list) add(raw []byte) error {
	var page map[string]json.RawMessage
	var entries []struct {
		Digest       string            `json:"digest"`
		ArtifactType string            `json:"artifactType"`
		Annotations  map[string]string `json:"annotations"`
	}
	if err := json.Unmarshal(raw, &page); err != nil {
		return l.broken(fmt.Errorf("what the registry answers is no list: %w", err))
	}
	manifests, ok := page["manifests"]
	if !ok {
		return l.broken(errors.New("what the registry answers is no list: it has no field manifests"))
	}
	// Some registries write an empty list as null.
	if err := json.Unmarshal(manifests, &entries); err != nil {
		return l.broken(fmt.Errorf("what the registry answers is no list: %w", err))
	}
	if l.entries += len(entries); l.entries > MaxReferrers {
		return oci.Errorf(oci.ReasonTooLarge, l.subject, "there are more than %d; %s", MaxReferrers, cureReferrers)
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

// next returns where the list goes on; nil if it does not.
func (l *list) next(a answer, page int) (*url.URL, error) {
	target, more := nextLink(a.header.Values("Link"))
	if !more {
		return nil, nil
	}
	u, err := a.from.Parse(target)
	switch {
	case err != nil:
		return nil, l.broken(fmt.Errorf("page %d names no next page: %w", page, err))
	case u.Scheme != a.from.Scheme || u.Host != a.from.Host:
		return nil, oci.Errorf(oci.ReasonRefused, l.subject, "page %d leads to another host, %q", page, image.Cut(u.Host, 100))
	case l.seen[u.String()]:
		return nil, l.broken(fmt.Errorf("page %d leads back to one that was read", page))
	case page == maxReferrerPages:
		return nil, oci.Errorf(oci.ReasonTooLarge, l.subject, "the list has more than %d pages; %s", maxReferrerPages, cureReferrers)
	}
	return u, nil
}

// broken is of a list of which not all is known.
func (l *list) broken(err error) error {
	return oci.Errorf(oci.ReasonUnavailable, l.subject,
		"the list cannot be read to its end, so that nothing can be said of what is missing in it; ask whoever runs the registry: %w", err)
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
			// The parameters end where the next link begins.
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

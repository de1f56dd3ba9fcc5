package registry

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/revet-dev/revet/pkg/image"
)

// nextPage returns where the next page of a list is, or nil. Only the path and the query
// of a link count: behind a proxy, registries link by a scheme and a host of their own, and
// a list never leads to another host.
func nextPage(from *url.URL, header http.Header) (*url.URL, error) {
	target, ok := nextTarget(header.Values("Link"))
	if !ok {
		return nil, nil
	}
	link, err := url.Parse(target)
	if err != nil || (link.Scheme != "" && link.Scheme != "http" && link.Scheme != "https") {
		return nil, fmt.Errorf("the link to the next page, %q, is not an address", image.Cut(target, 200))
	}
	resolved := from.ResolveReference(link)
	return &url.URL{Path: resolved.Path, RawPath: resolved.RawPath, RawQuery: resolved.RawQuery}, nil
}

// nextTarget returns the target of the link that leads on: the one with rel=next, or the
// only one. Some registries leave out the <> around it.
func nextTarget(values []string) (target string, ok bool) {
	for _, value := range values {
		for value = strings.TrimSpace(value); value != ""; {
			var one string
			one, value = cutLink(value)
			t, parameters := splitLink(one)
			if t == "" {
				continue
			}
			if relation, has := relationOf(parameters); !has || relation == "next" {
				return t, true
			}
		}
	}
	return "", false
}

// cutLink cuts the first link off a list of them. A comma inside of <> is the address's.
func cutLink(value string) (first, rest string) {
	from := 0
	if strings.HasPrefix(value, "<") {
		from = max(strings.IndexByte(value, '>'), 0)
	}
	if i := strings.IndexByte(value[from:], ','); i >= 0 {
		return value[:from+i], strings.TrimSpace(value[from+i+1:])
	}
	return value, ""
}

func splitLink(link string) (target, parameters string) {
	if rest, ok := strings.CutPrefix(link, "<"); ok {
		target, parameters, _ = strings.Cut(rest, ">")
	} else {
		target, parameters, _ = strings.Cut(link, ";")
	}
	return strings.TrimSpace(target), parameters
}

func relationOf(parameters string) (relation string, has bool) {
	for p := range strings.SplitSeq(parameters, ";") {
		key, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		if strings.EqualFold(strings.TrimSpace(key), "rel") {
			return strings.ToLower(strings.Trim(strings.TrimSpace(value), `"'`)), true
		}
	}
	return "", false
}

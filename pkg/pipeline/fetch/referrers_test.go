package fetch_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

// lister is a stub of a registry's lists of referrers.
type lister struct {
	t *testing.T
	// api answers the referrers API, tag the fallback tag; nil is 404.
	api, tag http.HandlerFunc
	asked    int
}

func (l *lister) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer := l.api
	switch {
	case r.URL.Path == "/v2/":
		return
	case strings.Contains(r.URL.Path, "/manifests/sha256-"):
		answer = l.tag
	}
	l.asked++
	if answer == nil {
		http.NotFound(w, r)
		return
	}
	answer(w, r)
}

func (l *lister) list() ([]int, error) {
	l.t.Helper()
	s := httptest.NewServer(l)
	l.t.Cleanup(s.Close)
	host := strings.TrimPrefix(s.URL, "http://")
	o := fetch.Options{Trust: must(fetch.LoadTrust("", []string{host}))(l.t), Patience: impatient}
	registry := must(fetch.NewRegistry(l.t.Context(), must(image.ParseRepository(host+"/"+repository))(l.t), o))(l.t)
	all, err := registry.Referrers(l.t.Context(), referrer(l.t, 9999))
	var got []int
	for _, r := range all {
		var n int
		if _, err := fmt.Sscanf(r.Digest.Hex(), "%064d", &n); err != nil {
			l.t.Fatal(err)
		}
		got = append(got, n)
	}
	return got, err
}

func referrer(t *testing.T, n int) image.Digest {
	return must(image.ParseDigest(fmt.Sprintf("sha256:%064d", n)))(t)
}

// page is a list of the referrers first to last.
func page(first, last int, padding string) []byte {
	var all []map[string]any
	for n := first; n <= last; n++ {
		all = append(all, map[string]any{"digest": fmt.Sprintf("sha256:%064d", n), "size": 1, "mediaType": "x" + padding})
	}
	raw, _ := json.Marshal(map[string]any{"schemaVersion": 2, "manifests": all}) // it is of strings
	return raw
}

// pages answers with one page after the other, linked as link says.
func pages(link func(r *http.Request, next int) string, all ...[]byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		n := 0
		_, _ = fmt.Sscanf(r.URL.Query().Get("page"), "%d", &n) // none is the first
		if n+1 < len(all) {
			w.Header().Set("Link", link(r, n+1))
		}
		_, _ = w.Write(all[min(n, len(all)-1)])
	}
}

func absolute(r *http.Request, next int) string {
	return fmt.Sprintf(`<http://%s%s?page=%d>; rel="next"`, r.Host, r.URL.Path, next)
}

func relative(r *http.Request, next int) string {
	return fmt.Sprintf(`<%s?page=%d>; rel="next"`, r.URL.Path, next)
}

func text(contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		fmt.Fprint(w, body)
	}
}

// A list of referrers is complete, wherever a registry keeps it and however it cuts
// it into pages.
func TestReferrers(t *testing.T) {
	two := func(link func(*http.Request, int) string) http.HandlerFunc {
		return pages(link, page(1, 2, ""), page(3, 3, ""))
	}
	numbers := func(last int) (all []int) {
		for n := 1; n <= last; n++ {
			all = append(all, n)
		}
		return all
	}
	const none = `{"schemaVersion":2,"manifests":[]}`
	tests := []struct {
		name     string
		api, tag http.HandlerFunc
		want     []int
	}{
		{"not a list", nil, nil, nil},
		{"an empty list", text("application/vnd.oci.image.index.v1+json", none), nil, nil},
		{"an empty list that is null", text("application/vnd.oci.image.index.v1+json", `{"schemaVersion":2,"manifests":null}`), nil, nil},
		{"another Content-Type", text("application/json", string(page(1, 2, ""))), nil, numbers(2)},
		{"a Content-Type with a parameter", text("application/vnd.oci.image.index.v1+json; charset=utf-8", string(page(1, 2, ""))), nil, numbers(2)},
		{"a Content-Type of text", text("text/plain", string(page(1, 2, ""))), nil, numbers(2)},
		{"pages by absolute links", two(absolute), nil, numbers(3)},
		{"pages by relative links", two(relative), nil, numbers(3)},
		{"pages by a query", two(func(_ *http.Request, next int) string { return fmt.Sprintf(`<?page=%d>; rel="next"`, next) }), nil, numbers(3)},
		{"a relation without quotes", two(func(_ *http.Request, next int) string { return fmt.Sprintf(`<?page=%d>;rel=next`, next) }), nil, numbers(3)},
		{"a link among others", two(func(_ *http.Request, next int) string {
			return fmt.Sprintf(`<?page=0>; rel="first prev", <?page=%d>; title="a"; rel="Next last"`, next)
		}), nil, numbers(3)},
		{"a first page that is empty", pages(relative, []byte(none), page(1, 1, "")), nil, numbers(1)},
		{"a link that is another relation", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", `<http://elsewhere.example.com/>; rel="describedby"`)
			_, _ = w.Write(page(1, 1, ""))
		}, nil, numbers(1)},
		{"the same referrer on two pages", pages(relative, page(1, 2, ""), page(2, 3, "")), nil, numbers(3)},
		{"1000 referrers in ten pages", pages(relative, page(1, 100, ""), page(101, 200, ""), page(201, 300, ""), page(301, 400, ""), page(401, 500, ""),
			page(501, 600, ""), page(601, 700, ""), page(701, 800, ""), page(801, 900, ""), page(901, 1000, "")), nil, numbers(1000)},
		{"a list under the tag, where there is no API", nil, text("", string(page(1, 200, ""))), numbers(200)},
		{"where the API is no method", status(http.StatusMethodNotAllowed), text("", string(page(1, 1, ""))), numbers(1)},
		{"where the API is not implemented", status(http.StatusNotImplemented), text("", string(page(1, 1, ""))), numbers(1)},
		{"where the API is a bad request", status(http.StatusBadRequest), text("", string(page(1, 1, ""))), numbers(1)},
		{"where the API accepts nothing", status(http.StatusNotAcceptable), text("", string(page(1, 1, ""))), numbers(1)},
		{"where the API is no method, and no list", status(http.StatusMethodNotAllowed), nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := (&lister{t: t, api: tt.api, tag: tt.tag}).list()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("referrers (-want +got):\n%s", diff)
			}
		})
	}
}

// What is not the whole list is an error, and costs a bounded number of requests.
func TestReferrersThatCannotBeReadAreNotNone(t *testing.T) {
	second := func(h http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.RawQuery != "" {
				h(w, r)
				return
			}
			pages(relative, page(1, 2, ""), nil)(w, r)
		}
	}
	link := func(target string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", "<"+target+`>; rel="next"`)
			_, _ = w.Write(page(1, 1, ""))
		}
	}
	cut := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		fmt.Fprint(w, `{"schemaVersion":2,"manifests":[]}`)
	}
	endless := 0
	tests := []struct {
		name     string
		api, tag http.HandlerFunc
		want     oci.Reason
		says     string
	}{
		{"500", status(500), nil, oci.ReasonUnavailable, "6 attempts failed"},
		{"403", status(403), nil, oci.ReasonDenied, "403"},
		{"429 for an hour", http.HandlerFunc(limited(429, "3600")), nil, oci.ReasonRateLimited, "until"},
		{"no content", status(204), nil, oci.ReasonUnavailable, "204"},
		{"an empty answer", text("", ""), nil, oci.ReasonUnavailable, "not a list"},
		{"a web page", text("text/html", "<html>"), nil, oci.ReasonUnavailable, "not a list"},
		{"an object that is no list", text("", `{"errors":[]}`), nil, oci.ReasonUnavailable, "no field manifests"},
		{"half a list", text("", `{"schemaVersion":2,"manifests":[`), nil, oci.ReasonUnavailable, "not a list"},
		{"a list, and more", text("", `{"manifests":[]}{}`), nil, oci.ReasonUnavailable, "not a list"},
		{"no list in it", text("", `{"manifests":{}}`), nil, oci.ReasonUnavailable, "not a list"},
		{"an entry without a digest", text("", `{"manifests":[{}]}`), nil, oci.ReasonUnavailable, "entry 1"},
		{"a list that is cut off", cut, nil, oci.ReasonUnavailable, "unexpected EOF"},
		{"a second page that fails", second(status(500)), nil, oci.ReasonUnavailable, "500"},
		{"a second page that is not there", second(status(404)), nil, oci.ReasonUnavailable, "404"},
		{"a second page that is no method", second(status(405)), nil, oci.ReasonUnavailable, "405"},
		{"a second page that is cut off", second(cut), nil, oci.ReasonUnavailable, "unexpected EOF"},
		{"a second page that is no list", second(text("", "null")), nil, oci.ReasonUnavailable, "no field manifests"},
		{"pages in a circle", link("?page=1"), nil, oci.ReasonUnavailable, "leads back"},
		{"a page that is its own next", func(w http.ResponseWriter, r *http.Request) { link(r.URL.Path)(w, r) }, nil, oci.ReasonUnavailable, "leads back"},
		{"another host", link("http://elsewhere.example.com/v2/"), nil, oci.ReasonRefused, "another host"},
		{"another port", link("http://127.0.0.1:1/v2/"), nil, oci.ReasonRefused, "another host"},
		{"another scheme", func(w http.ResponseWriter, r *http.Request) { link("https://"+r.Host+"/v2/")(w, r) }, nil, oci.ReasonRefused, "another host"},
		{"a link that is no address", link(":"), nil, oci.ReasonUnavailable, "an invalid link to the next page"},
		{"pages without end", func(w http.ResponseWriter, _ *http.Request) {
			endless++
			w.Header().Set("Link", fmt.Sprintf(`<?page=%d>; rel="next"`, endless))
			fmt.Fprint(w, `{"manifests":[]}`)
		}, nil, oci.ReasonTooLarge, "more than 100 pages"},
		{"too many", text("", string(page(1, 1001, ""))), nil, oci.ReasonTooLarge, "more than 1000 referrers; delete"},
		{"too many in two pages", pages(relative, page(1, 600, ""), page(601, 1001, "")), nil, oci.ReasonTooLarge, "more than 1000 referrers; delete"},
		{"too many of one", pages(relative, page(1, 600, ""), page(1, 600, "")), nil, oci.ReasonTooLarge, "more than 1000 referrers; delete"},
		{"too many bytes", text("", string(page(1, 1, strings.Repeat("x", 4<<20)))), nil, oci.ReasonTooLarge, "bytes; delete"},
		{"too many bytes in two pages", pages(relative, page(1, 1, strings.Repeat("x", 3<<20)), page(2, 2, strings.Repeat("x", 3<<20))), nil, oci.ReasonTooLarge, "bytes; delete"},
		{"a tag that fails", nil, status(500), oci.ReasonUnavailable, "500"},
		{"a tag that is no method", nil, status(405), oci.ReasonUnavailable, "405"},
		{"a tag that is an image", nil, text("", `{"schemaVersion":2,"config":{},"layers":[]}`), oci.ReasonUnavailable, "no field manifests"},
		{"a tag with too many", nil, text("", string(page(1, 1001, ""))), oci.ReasonTooLarge, "more than 1000 referrers; delete"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := &lister{t: t, api: tt.api, tag: tt.tag}
			got, err := l.list()
			wantError(t, err, tt.want, tt.says)
			if len(got) > 0 || l.asked > 110 {
				t.Errorf("asked %d times, got %v", l.asked, got)
			}
		})
	}
}

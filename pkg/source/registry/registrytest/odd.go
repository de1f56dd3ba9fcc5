package registrytest

import (
	"bytes"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Oddities say how a registry is odd. The zero value is none.
type Oddities struct {
	// Head is the status that a HEAD of a manifest answers; 0 leaves it as it is.
	Head int
	// NoDigest leaves out Docker-Content-Digest.
	NoDigest bool
	// Digest is the Docker-Content-Digest of each answer about a tag.
	Digest string
	// Type is the Content-Type of each manifest; "none" leaves it out.
	Type string
	// Page is how many names a page of a list has; 0 leaves pages as they are.
	Page int
	// Link is how a page links to the next one.
	Link Link
	// EmptyPages puts that many pages without names before each page.
	EmptyPages int
	// Cut breaks off every nth answer to a read in the middle of its body.
	Cut int
	// Storage is the address to which reads of blobs are redirected.
	Storage string
	// Late is how long a tag that was pushed goes on showing what it showed before.
	Late time.Duration
}

// Link is how a page links to the next one.
type Link int

// The ways to link.
const (
	Relative  Link = iota // </v2/...>; rel="next"
	Absolute              // with a scheme and a host
	OtherHost             // with the scheme and the host of the registry behind a proxy
	Bare                  // without <>
	ByQuery               // <?last=...>
	Circle                // to the same page again
	NoLink                // not at all, though last=... is understood
)

// Odd is a registry that answers in odd ways.
type Odd struct {
	next http.Handler

	mu       sync.Mutex
	oddities Oddities
	reads    int
	late     map[string]lateTag
	counts   map[string]int
}

// New returns an Odd in front of a registry.
func New(next http.Handler, oddities Oddities) *Odd {
	return &Odd{next: next, oddities: oddities, late: map[string]lateTag{}, counts: map[string]int{}}
}

// Set replaces the oddities.
func (o *Odd) Set(oddities Oddities) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.oddities = oddities
}

// Requests returns how many requests of a method had a path that ends with suffix.
func (o *Odd) Requests(method, suffix string) (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for request, count := range o.counts {
		if strings.HasPrefix(request, method+" ") && strings.HasSuffix(request, suffix) {
			n += count
		}
	}
	return n
}

var (
	manifestPath = regexp.MustCompile(`^/v2/(.+)/manifests/([^/]+)$`)
	blobPath     = regexp.MustCompile(`^/v2/(.+)/blobs/(sha256:[0-9a-f]{64})$`)
	listPath     = regexp.MustCompile(`^/v2/(?:(.+)/tags/list|_catalog)$`)
)

// maxCounted bounds how many different requests are counted.
const maxCounted = 100_000

// ServeHTTP implements http.Handler.
func (o *Odd) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	odd := o.oddities
	if key := r.Method + " " + r.URL.Path; len(o.counts) < maxCounted || o.counts[key] > 0 {
		o.counts[key]++
	}
	o.mu.Unlock()
	read := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case !read && manifestPath.MatchString(r.URL.Path):
		o.push(w, r, odd)
	case !read:
		o.next.ServeHTTP(w, r)
	case manifestPath.MatchString(r.URL.Path):
		o.manifest(w, r, odd)
	case blobPath.MatchString(r.URL.Path) && odd.Storage != "":
		http.Redirect(w, r, odd.Storage+r.URL.Path+"?signature=secret", http.StatusTemporaryRedirect)
	case listPath.MatchString(r.URL.Path) && (odd.Page > 0 || odd.Link != Relative):
		o.send(w, r, odd, o.page(r, odd))
	case listPath.MatchString(r.URL.Path), blobPath.MatchString(r.URL.Path) && odd.Cut > 0:
		o.send(w, r, odd, o.ask(r))
	default:
		o.next.ServeHTTP(w, r)
	}
}

func (o *Odd) manifest(w http.ResponseWriter, r *http.Request, odd Oddities) {
	if r.Method == http.MethodHead && odd.Head != 0 {
		w.WriteHeader(odd.Head)
		return
	}
	a := o.ask(o.shown(r))
	if a.status == http.StatusOK {
		byTag := !strings.Contains(manifestPath.FindStringSubmatch(r.URL.Path)[2], ":")
		switch {
		case odd.NoDigest:
			a.header.Del("Docker-Content-Digest")
		case odd.Digest != "" && byTag:
			a.header.Set("Docker-Content-Digest", odd.Digest)
		}
		switch odd.Type {
		case "":
		case "none":
			a.header["Content-Type"] = nil
		default:
			a.header.Set("Content-Type", odd.Type)
		}
	}
	o.send(w, r, odd, a)
}

// recorded is an answer of the registry.
type recorded struct {
	status int
	header http.Header
	body   bytes.Buffer
}

func (a *recorded) Header() http.Header         { return a.header }
func (a *recorded) WriteHeader(status int)      { a.status = status }
func (a *recorded) Write(p []byte) (int, error) { return a.body.Write(p) }

func (o *Odd) ask(r *http.Request) *recorded {
	a := &recorded{status: http.StatusOK, header: http.Header{}}
	o.next.ServeHTTP(a, r)
	return a
}

// send sends an answer, or the first half of it.
func (o *Odd) send(w http.ResponseWriter, r *http.Request, odd Oddities, a *recorded) {
	for name, values := range a.header {
		w.Header()[name] = values
	}
	body := a.body.Bytes()
	if r.Method == http.MethodGet {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(a.status)
	if r.Method == http.MethodHead {
		return
	}
	if len(body) > 1 && o.cuts(odd.Cut) {
		_, _ = w.Write(body[:len(body)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler) // closes the connection
	}
	_, _ = w.Write(body)
}

func (o *Odd) cuts(every int) bool {
	if every <= 0 {
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.reads++
	return o.reads%every == 0
}

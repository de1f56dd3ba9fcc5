package registrytest

import (
	"context"
	"net/http"
	"strings"
	"time"
)

// lateTag is what a tag shows until a time.
type lateTag struct {
	until time.Time
	// digest is what it showed before; "" for a tag that is new.
	digest string
}

// push passes on a manifest, and remembers what its tag showed before.
func (o *Odd) push(w http.ResponseWriter, r *http.Request, odd Oddities) {
	if odd.Late <= 0 || r.Method != http.MethodPut || strings.Contains(manifestPath.FindStringSubmatch(r.URL.Path)[2], ":") {
		o.next.ServeHTTP(w, r)
		return
	}
	before := r.Clone(context.WithoutCancel(r.Context()))
	before.Method, before.Body, before.ContentLength = http.MethodHead, http.NoBody, 0
	before.Header = http.Header{"Authorization": r.Header["Authorization"], "Accept": {"*/*"}}
	// Late from the beginning: the registry notifies while it still answers the push.
	was := lateTag{digest: o.ask(o.shown(before)).header.Get("Docker-Content-Digest"), until: time.Now().Add(odd.Late)}
	o.mu.Lock()
	o.late[r.URL.Path] = was
	o.mu.Unlock()
	o.next.ServeHTTP(w, r)
}

// nothing is a digest that no registry has.
const nothing = "sha256:0000000000000000000000000000000000000000000000000000000000000000"

// shown returns the request for what a tag shows now.
func (o *Odd) shown(r *http.Request) *http.Request {
	o.mu.Lock()
	was, ok := o.late[r.URL.Path]
	if ok && !time.Now().Before(was.until) {
		delete(o.late, r.URL.Path)
		ok = false
	}
	o.mu.Unlock()
	if !ok {
		return r
	}
	if was.digest == "" {
		was.digest = nothing
	}
	r = r.Clone(r.Context())
	i := strings.LastIndexByte(r.URL.Path, '/')
	r.URL.Path, r.URL.RawPath = r.URL.Path[:i+1]+was.digest, ""
	return r
}

package fetch

import (
	"net/http"
	"time"
)

// Client returns a client for downloads from host that is under the same rules as
// a registry's: TLS except to hosts that are listed, also after a redirect, no way
// to a private address by number, and an end to what stalls. It carries no
// credentials.
func Client(host string, o Options) *http.Client {
	if o.Stall <= 0 {
		o.Stall = time.Minute
	}
	return &http.Client{
		Transport:     &guard{inner: newTransport(o), registry: host, insecure: o.Trust.insecure, stall: o.Stall, answer: o.Answer},
		CheckRedirect: checkRedirect,
	}
}

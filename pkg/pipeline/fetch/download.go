package fetch

import (
	"net/http"
	"time"
)

// Client returns a client for downloads from host, under the same rules as for registries. It uses
// TLS except for listed hosts, also after a redirect. It never connects to a private IP address
// that a redirect names. It ends transfers that stall. It sends no credentials.
func Client(host string, o Options) *http.Client {
	if o.Stall <= 0 {
		o.Stall = time.Minute
	}
	return &http.Client{
		Transport:     &guard{inner: newTransport(o), registry: host, insecure: o.Trust.insecure, stall: o.Stall, answer: o.Answer},
		CheckRedirect: checkRedirect,
	}
}

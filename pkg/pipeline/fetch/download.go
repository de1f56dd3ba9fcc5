package fetch

import (
	"net/http"
	"time"

	"github.com/revet-dev/revet/pkg/pipeline/content"
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
		Transport: &guard{inner: newTransport(o.Trust), registry: host, insecure: o.Trust.insecure, stall: o.Stall, answer: o.Answer},
		CheckRedirect: func(_ *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects {
				return content.Errorf(content.ReasonRefused, "", "it redirects more than %d times", maxRedirects)
			}
			return nil
		},
	}
}

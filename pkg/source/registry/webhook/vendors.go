package webhook

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// Vendor is one kind of registry, by how it notifies.
type Vendor interface {
	// Proof returns what a request shows to prove who sent it. The error says what to send.
	Proof(Request) (Proof, error)
	// Decode reads the events of a body. Its error is a *DecodeError.
	Decode(r Request, body []byte) ([]Claim, error)
}

// Request is a notification without its body.
type Request struct {
	Header http.Header
	Query  url.Values
}

// Claim is one event as the vendor tells it. Nothing in it is checked.
type Claim struct {
	// Ignore says why the event is no push of a tag. It is empty for a push.
	Ignore IgnoreReason

	Repository string // the path on the registry
	Tag        string
	Digest     string
	MediaType  string
	Actor      string
	ID         string // the vendor's own, to find the event in its log
	Time       time.Time
}

// vendors is every vendor by its name in the ConfigMap config-registries. To add one, write
// its implementation in a file of its own and add a row here, and a push of it to the test
// table pushes of pkg/receiver.
var vendors = map[string]Vendor{
	DefaultVendor: distribution{},
}

// DefaultVendor is the vendor of a registry that names none.
const DefaultVendor = "distribution"

// VendorOf returns the vendor of a name.
func VendorOf(name string) (Vendor, bool) {
	if name == "" {
		name = DefaultVendor
	}
	v, ok := vendors[name]
	return v, ok
}

// Vendors returns the names of all vendors, in order.
func Vendors() []string { return slices.Sorted(maps.Keys(vendors)) }

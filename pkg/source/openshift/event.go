package openshift

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"knative.dev/eventing/pkg/apis/sources"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/push"
)

// APIVersion is the only version of OpenShift's image API.
const APIVersion = "image.openshift.io/v1"

// Verb says what happened to the object.
type Verb string

// The verbs. The zero value is invalid.
const (
	Add    Verb = "add"
	Update Verb = "update"
	Delete Verb = "delete"
)

// Kind is the kind of the object.
type Kind string

// The kinds that are decoded. The zero value is invalid.
const (
	ImageStream Kind = "ImageStream"
	Image       Kind = "Image"
)

// Mode says how much of the object an event carries.
type Mode string

// The modes. The zero value is invalid.
const (
	Resource  Mode = "Resource"  // the whole object
	Reference Mode = "Reference" // kind, namespace and name only
)

// IgnoreReason says why an event was passed over.
type IgnoreReason string

// The reasons to pass over an event.
const (
	UnknownType IgnoreReason = "UnknownType" // no ApiServerSource sent it
	UnknownKind IgnoreReason = "UnknownKind" // neither an ImageStream nor an Image
)

// Object names the object that an event claims to be about.
type Object struct {
	Kind Kind
	// Namespace is empty for an Image.
	Namespace string
	Name      string
}

// Observation is what an event claims.
type Observation struct {
	// Ignored says why the event was passed over. If it is set, the rest is empty.
	Ignored IgnoreReason
	Verb    Verb
	Mode    Mode
	Object  Object
	// Labels are an ImageStream's, in Resource mode.
	Labels map[string]string
	// Stream is what an ImageStream shows in Resource mode, and nil otherwise. For a
	// deleted stream it is the last state. An event that claims very much counts as one in
	// Reference mode.
	Stream *push.Stream
}

// DecodeError lasts: the same event can never be decoded.
type DecodeError struct {
	Reason DecodeReason
	Err    error
}

// DecodeReason says why an event was refused.
type DecodeReason string

// The reasons an event is refused.
const (
	Malformed   DecodeReason = "Malformed"   // the body or an attribute cannot be read
	Incomplete  DecodeReason = "Incomplete"  // the object has no name, namespace or UID
	Contradicts DecodeReason = "Contradicts" // attributes and body name different objects
)

func (e *DecodeError) Error() string {
	return fmt.Sprintf("decoding an ApiServerSource event: %s: %v", e.Reason, e.Err)
}

// Unwrap returns the cause.
func (e *DecodeError) Unwrap() error { return e.Err }

// Decode reads an event.
func Decode(e *cloudevents.Event) (Observation, error) {
	mode, verb, ok := parseType(e.Type())
	if !ok {
		return Observation{Ignored: UnknownType}, nil
	}
	claimed, err := parseAttributes(e)
	if err != nil {
		return Observation{}, err
	}
	// The adapter sets the kind on every event, so an event of another kind is passed over
	// without reading its body.
	if claimed.kind != "" && !known(claimed.apiVersion, claimed.kind) {
		return Observation{Ignored: UnknownKind}, nil
	}
	data := e.Data()
	if len(data) == 0 {
		return Observation{}, &DecodeError{Malformed, errors.New("the event has no data")}
	}
	if mode == Reference {
		return decodeReference(verb, claimed, data)
	}
	obs, err := decodeResource(verb, claimed, data)
	if obs.Stream != nil && claims(obs.Stream) > maxClaimed {
		// It is read again, instead of being compared with the ledger for each trigger.
		obs.Mode, obs.Labels, obs.Stream = Reference, nil, nil
	}
	return obs, err
}

// claims counts the tags and items of a stream.
func claims(s *push.Stream) int {
	n := len(s.Tags)
	for _, tag := range s.Tags {
		n += len(tag.Items)
	}
	return n
}

// DecodeObject reads a whole object that did not come in an event, such as one in a file.
func DecodeObject(verb Verb, data []byte) (Observation, error) {
	return decodeResource(verb, attributes{}, data)
}

func decodeReference(verb Verb, claimed attributes, data []byte) (Observation, error) {
	var body attributes
	if err := body.decode(data); err != nil {
		return Observation{}, &DecodeError{Malformed, err}
	}
	return newObservation(verb, Reference, claimed, body)
}

func decodeResource(verb Verb, claimed attributes, data []byte) (Observation, error) {
	var o object
	if err := o.decode(data); err != nil {
		return Observation{}, &DecodeError{Malformed, err}
	}
	obs, err := newObservation(verb, Resource, claimed, o.attributes)
	if err != nil || obs.Ignored != "" || obs.Object.Kind != ImageStream {
		return obs, err
	}
	if o.uid == "" {
		return Observation{}, &DecodeError{Incomplete, errors.New("the ImageStream has no metadata.uid")}
	}
	stream := o.stream()
	obs.Labels, obs.Stream = o.labels, &stream
	return obs, nil
}

// newObservation compares what the body names with what the attributes claim.
func newObservation(verb Verb, mode Mode, claimed, body attributes) (Observation, error) {
	if err := claimed.agree("event", body, "body"); err != nil {
		return Observation{}, &DecodeError{Contradicts, err}
	}
	if body.kind == "" || body.apiVersion == "" {
		return Observation{}, &DecodeError{Incomplete, errors.New("the object has no kind or no apiVersion")}
	}
	if !known(body.apiVersion, body.kind) {
		return Observation{Ignored: UnknownKind}, nil
	}
	o := Object{Kind: Kind(body.kind), Namespace: body.namespace, Name: body.name}
	if o.Name == "" {
		return Observation{}, &DecodeError{Incomplete, errors.New("the object has no name")}
	}
	if o.Kind == ImageStream && o.Namespace == "" {
		return Observation{}, &DecodeError{Incomplete, errors.New("the ImageStream has no namespace")}
	}
	if len(o.Namespace) > maxNamespace || len(o.Name) > maxName {
		return Observation{}, &DecodeError{Malformed, fmt.Errorf("no object has a namespace of %d and a name of %d bytes", len(o.Namespace), len(o.Name))}
	}
	return Observation{Verb: verb, Mode: mode, Object: o}, nil
}

// maxClaimed is how many tags and items of an event are taken for what its stream may
// show. No API server stores many more, and anybody may claim them.
const maxClaimed = 16 << 10

// maxNamespace and maxName are the longest that the API server stores.
const (
	maxNamespace = 63
	maxName      = 253
)

func known(apiVersion, kind string) bool {
	return (apiVersion == "" || apiVersion == APIVersion) && (kind == string(ImageStream) || kind == string(Image))
}

func parseType(t string) (Mode, Verb, bool) {
	switch t {
	case sources.ApiServerSourceAddEventType:
		return Resource, Add, true
	case sources.ApiServerSourceUpdateEventType:
		return Resource, Update, true
	case sources.ApiServerSourceDeleteEventType:
		return Resource, Delete, true
	case sources.ApiServerSourceAddRefEventType:
		return Reference, Add, true
	case sources.ApiServerSourceUpdateRefEventType:
		return Reference, Update, true
	case sources.ApiServerSourceDeleteRefEventType:
		return Reference, Delete, true
	default:
		return "", "", false
	}
}

// attributes name an object, in the event's attributes or in its body.
type attributes struct{ apiVersion, kind, namespace, name string }

// agree returns an error that names the first field in which b differs from a, of those that
// a has.
func (a attributes) agree(nameA string, b attributes, nameB string) error {
	for _, f := range []struct{ name, a, b string }{
		{"apiversion", a.apiVersion, b.apiVersion},
		{"kind", a.kind, b.kind},
		{"namespace", a.namespace, b.namespace},
		{"name", a.name, b.name},
	} {
		if f.a != "" && f.a != f.b {
			return fmt.Errorf("the %s says %s %q, the %s %q", nameA, f.name, image.Cut(f.a, 80), nameB, image.Cut(f.b, 80))
		}
	}
	return nil
}

// parseAttributes reads the extensions and the subject, which must agree.
func parseAttributes(e *cloudevents.Event) (attributes, error) {
	ext := e.Extensions()
	a := attributes{
		apiVersion: extension(ext, "apiversion"),
		kind:       extension(ext, "kind"),
		namespace:  extension(ext, "namespace"),
		name:       extension(ext, "name"),
	}
	subject, err := parseSubject(e.Subject())
	if err != nil {
		return attributes{}, &DecodeError{Malformed, err}
	}
	if subject.name == "" {
		return a, nil
	}
	a = attributes{
		apiVersion: cmp.Or(a.apiVersion, subject.apiVersion),
		kind:       cmp.Or(a.kind, subject.kind),
		namespace:  cmp.Or(a.namespace, subject.namespace),
		name:       cmp.Or(a.name, subject.name),
	}
	if err := subject.agree("subject", a, "extension"); err != nil {
		return attributes{}, &DecodeError{Contradicts, err}
	}
	return a, nil
}

// parseSubject reads /apis/<group>/<version>[/namespaces/<ns>]/<plural>/<name>.
// A subject of another form says nothing. One that begins like this and then goes on
// differently is refused.
func parseSubject(s string) (attributes, error) {
	rest, ok := strings.CutPrefix(s, "/apis/"+APIVersion+"/")
	if !ok {
		return attributes{}, nil
	}
	a := attributes{apiVersion: APIVersion}
	parts := strings.Split(rest, "/")
	if len(parts) == 4 && parts[0] == "namespaces" {
		a.namespace, parts = parts[1], parts[2:]
	}
	if len(parts) != 2 || parts[1] == "" {
		return attributes{}, fmt.Errorf("the subject %q names no object", image.Cut(s, 200))
	}
	switch parts[0] {
	case "imagestreams":
		a.kind = string(ImageStream)
	case "images":
		a.kind = string(Image)
	default:
		return attributes{}, nil // another resource of the group
	}
	a.name = parts[1]
	return a, nil
}

func extension(ext map[string]any, name string) string {
	s, _ := ext[name].(string)
	return s
}

package pushes

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	imagev1 "github.com/openshift/api/image/v1"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/source/openshift"
)

// accepted ends the error about any other value.
const accepted = "accepted are ImageStreams and Images of " + openshift.APIVersion + ", Lists of them, watch events, " +
	"CloudEvents of an ApiServerSource, and recorded steps"

// parser collects what one value holds.
type parser struct {
	file string
	in   input
}

// shape has the fields that tell the forms of a value apart.
type shape struct {
	SpecVersion *string           `json:"specversion"`
	Step        string            `json:"step"`
	Events      []json.RawMessage `json:"events"`
	Type        string            `json:"type"`
	Object      json.RawMessage   `json:"object"`
	Kind        string            `json:"kind"`
	APIVersion  string            `json:"apiVersion"`
	Items       []json.RawMessage `json:"items"`
}

func (p *parser) parse(position string, raw json.RawMessage) error {
	if bytes.HasPrefix(bytes.TrimSpace(raw), []byte("[")) {
		var elements []json.RawMessage
		if err := json.Unmarshal(raw, &elements); err != nil {
			return p.fail(position, err)
		}
		return p.parseAll(position, "element", elements)
	}
	var s shape
	if err := json.Unmarshal(raw, &s); err != nil {
		return p.fail(position, notAnObject(err))
	}
	switch {
	case s.SpecVersion != nil:
		return p.parseCloudEvent(position, raw)
	case s.Events != nil && s.Object == nil:
		p.in.step = s.Step
		return p.parseAll(position, "event", s.Events)
	case s.Object != nil && s.Type != "":
		return p.parseWatchEvent(position, s)
	case s.Items != nil || strings.HasSuffix(s.Kind, "List"):
		return p.parseList(position, s)
	case s.Kind != "" && s.APIVersion != "":
		return p.parseObject(position, openshift.Update, raw)
	default:
		return p.fail(position, errors.New("this value shows no pushes; "+accepted))
	}
}

func (p *parser) parseAll(position, what string, values []json.RawMessage) error {
	for i, v := range values {
		if err := p.parse(fmt.Sprintf("%s, %s %d", position, what, i+1), v); err != nil {
			return err
		}
	}
	return nil
}

// parseList reads a List, or a typed list, whose items need not name their kind.
func (p *parser) parseList(position string, s shape) error {
	kind := strings.TrimSuffix(s.Kind, "List")
	if kind == "" {
		return p.parseAll(position, "item", s.Items)
	}
	items := make([]json.RawMessage, len(s.Items))
	for i, item := range s.Items {
		typed, err := withKind(item, s.APIVersion, kind)
		if err != nil {
			return p.fail(fmt.Sprintf("%s, item %d", position, i+1), notAnObject(err))
		}
		items[i] = typed
	}
	return p.parseAll(position, "item", items)
}

// withKind adds apiVersion and kind to an object that has no kind.
func withKind(raw json.RawMessage, apiVersion, kind string) (json.RawMessage, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, err
	}
	if _, ok := fields["kind"]; ok {
		return raw, nil
	}
	for name, value := range map[string]string{"apiVersion": apiVersion, "kind": kind} {
		quoted, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		fields[name] = quoted
	}
	return json.Marshal(fields)
}

func (p *parser) parseCloudEvent(position string, raw json.RawMessage) error {
	var e cloudevents.Event
	if err := json.Unmarshal(raw, &e); err != nil {
		return p.fail(position, fmt.Errorf("reading a CloudEvent: %w", err))
	}
	if err := e.Validate(); err != nil {
		return p.fail(position, fmt.Errorf("the CloudEvent is not valid: %s", strings.TrimSpace(err.Error())))
	}
	o, err := openshift.Decode(&e)
	if err != nil {
		return p.fail(position, err)
	}
	if o.Ignored != "" {
		p.note("%s: a CloudEvent of type %q: %s", position, image.Cut(e.Type(), 80), o.Ignored)
		return nil
	}
	if o.Mode == openshift.Reference {
		p.note("%s: a reference to %s %q shows no tags; the receiver would read the object", position, o.Object.Kind, o.Object.Name)
		return nil
	}
	return p.add(position, o, e.Data())
}

func (p *parser) parseWatchEvent(position string, s shape) error {
	var verb openshift.Verb
	switch s.Type {
	case "ADDED":
		verb = openshift.Add
	case "MODIFIED":
		verb = openshift.Update
	case "DELETED":
		verb = openshift.Delete
	case "BOOKMARK":
		return nil // tells a resourceVersion, and no state
	case "ERROR":
		return p.fail(position, fmt.Errorf("the watch ended with an error: %s", image.Cut(string(s.Object), 200)))
	default:
		return p.fail(position, fmt.Errorf("unknown watch event type %q; there are ADDED, MODIFIED, DELETED, BOOKMARK and ERROR", image.Cut(s.Type, 80)))
	}
	return p.parseObject(position, verb, s.Object)
}

func (p *parser) parseObject(position string, verb openshift.Verb, raw json.RawMessage) error {
	o, err := openshift.DecodeObject(verb, raw)
	if err != nil {
		return p.fail(position, err)
	}
	if o.Ignored != "" {
		return p.fail(position, errors.New("the object is of another kind; "+accepted))
	}
	return p.add(position, o, raw)
}

func (p *parser) add(position string, o openshift.Observation, raw []byte) error {
	c := change{observation: o}
	if o.Object.Kind == openshift.Image {
		c.image = &imagev1.Image{}
		if err := json.Unmarshal(raw, c.image); err != nil {
			return p.fail(position, fmt.Errorf("reading an Image: %w", err))
		}
	}
	p.in.changes = append(p.in.changes, c)
	return nil
}

func (p *parser) note(format string, args ...any) {
	p.in.notes = append(p.in.notes, fmt.Sprintf(format, args...))
}

func (p *parser) fail(position string, err error) error {
	return &inputError{p.file, position, err}
}

// notAnObject says what a type error of encoding/json means here.
func notAnObject(err error) error {
	var typeErr *json.UnmarshalTypeError
	if errors.As(err, &typeErr) && typeErr.Field == "" {
		return fmt.Errorf("this is a JSON %s; %s", typeErr.Value, accepted)
	}
	return err
}

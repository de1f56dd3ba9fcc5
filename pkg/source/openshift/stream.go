package openshift

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/mailru/easyjson/jlexer"
	imagev1 "github.com/openshift/api/image/v1"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/push"
)

// Stream converts an ImageStream that was read from the API server, just as Decode converts an
// event's body.
func Stream(is *imagev1.ImageStream) push.Stream {
	var o object
	o.name, o.namespace, o.uid = is.Name, is.Namespace, string(is.UID)
	o.repository, o.public = is.Status.DockerImageRepository, is.Status.PublicDockerImageRepository
	for _, t := range is.Spec.Tags {
		o.policies = append(o.policies, tagPolicy{t.Name, string(t.ReferencePolicy.Type)})
	}
	for _, t := range is.Status.Tags {
		s := statusTag{name: t.Tag, items: make([]tagItem, 0, len(t.Items))}
		for _, item := range t.Items {
			i := tagItem{reference: item.DockerImageReference, image: item.Image}
			if !item.Created.IsZero() {
				i.created = item.Created.UTC().Format(time.RFC3339)
			}
			s.items = append(s.items, i)
		}
		o.tags = append(o.tags, s)
	}
	return o.stream()
}

func (o *object) stream() push.Stream {
	s := push.Stream{Repository: push.Repository{
		Kind: push.ImageStream,
		Name: o.namespace + "/" + o.name,
		UID:  o.uid,
	}}
	// Revet finds the pushes of a stream that names no repository, or one that cannot be
	// parsed: the items name their own.
	s.Pull, _ = image.ParseRepository(o.repository)
	if !s.Pull.IsZero() {
		s.Names = append(s.Names, s.Pull)
	}
	if public, err := image.ParseRepository(o.public); err == nil {
		s.Names = append(s.Names, public)
	}
	if len(o.tags) == 0 {
		return s
	}
	s.Tags = make([]push.Tag, 0, len(o.tags))
	for _, t := range o.tags {
		local := o.localPolicy(t.name)
		tag := push.Tag{ClaimedName: t.name, Items: make([]push.Item, 0, len(t.items))}
		for _, i := range t.items {
			tag.Items = append(tag.Items, i.item(o.repository, local))
		}
		s.Tags = append(s.Tags, tag)
	}
	return s
}

func (i *tagItem) item(repository string, local bool) push.Item {
	item := push.Item{ClaimedDigest: i.image}
	// Detect skips an item whose time cannot be read, which is zero, and says so.
	item.Created, _ = time.Parse(time.RFC3339, i.created)
	// An imported or aliased image is in another registry, unless the tag says that the
	// stream's own registry serves it. The prefix is the usual case, an image that was
	// pushed here, and needs no parser.
	own, ok := strings.CutPrefix(i.reference, repository)
	if local || (ok && strings.HasPrefix(own, "@")) {
		return item
	}
	if ref, err := image.ParseReference(i.reference); err == nil && ref.Digest().String() == i.image {
		item.Pull = ref.Repository()
	}
	return item
}

func (o *object) localPolicy(tag string) bool {
	for _, p := range o.policies {
		if p.tag == tag {
			return p.policy == string(imagev1.LocalTagReferencePolicy)
		}
	}
	return false
}

// object is what Revet reads of an ImageStream in an event. Each event carries the whole
// object with its managed fields, and most change nothing. This decoder skips what Revet does
// not need, which takes a fraction of the time of encoding/json.
type object struct {
	attributes
	uid        string
	labels     map[string]string
	repository string // status.dockerImageRepository
	public     string // status.publicDockerImageRepository
	policies   []tagPolicy
	tags       []statusTag
	// room is how many further policies, tags and items are decoded.
	room int
}

// An object has at most one element for each elementBytes of its text, and a few more: smaller
// ones are no API server's, and an element of two bytes takes a hundred once it is decoded.
const (
	elementBytes = 64
	fewElements  = 512
)

func roomFor(text []byte) int { return fewElements + len(text)/elementBytes }

// element counts one more element.
func (o *object) element(l *jlexer.Lexer) {
	if o.room--; o.room < 0 {
		l.AddError(&jlexer.LexerError{Reason: "more tags and items than the size allows", Offset: l.GetPos()})
	}
}

// tagPolicy is the reference policy of one of spec.tags.
type tagPolicy struct{ tag, policy string }

type statusTag struct {
	name  string
	items []tagItem
}

// tagItem keeps the time as text: a time that cannot be read must not keep the other tags from
// being read.
type tagItem struct{ created, reference, image string }

// decode reads the body of an event in Reference mode.
func (a *attributes) decode(data []byte) error {
	l := &jlexer.Lexer{Data: data}
	eachField(l, func(name string) {
		switch name {
		case "apiVersion":
			a.apiVersion = text(l)
		case "kind":
			a.kind = text(l)
		case "namespace":
			a.namespace = text(l)
		case "name":
			a.name = text(l)
		default:
			l.SkipRecursive()
		}
	})
	l.Consumed()
	return failed(l)
}

func (o *object) decode(data []byte) error {
	l := &jlexer.Lexer{Data: data}
	o.room = roomFor(data)
	o.read(l)
	l.Consumed()
	return failed(l)
}

// read reads the object at which the lexer stands.
func (o *object) read(l *jlexer.Lexer) {
	eachField(l, func(name string) {
		switch name {
		case "apiVersion":
			o.apiVersion = text(l)
		case "kind":
			o.kind = text(l)
		case "metadata":
			eachField(l, func(name string) { o.decodeMetadata(l, name) })
		case "spec":
			eachField(l, func(name string) { o.decodeSpec(l, name) })
		case "status":
			eachField(l, func(name string) { o.decodeStatus(l, name) })
		default:
			l.SkipRecursive()
		}
	})
}

func (o *object) decodeMetadata(l *jlexer.Lexer, name string) {
	switch name {
	case "name":
		o.name = text(l)
	case "namespace":
		o.namespace = text(l)
	case "uid":
		o.uid = text(l)
	case "labels":
		eachField(l, func(label string) {
			if o.labels == nil {
				o.labels = map[string]string{}
			}
			o.labels[strings.Clone(label)] = text(l)
		})
	default:
		l.SkipRecursive()
	}
}

func (o *object) decodeSpec(l *jlexer.Lexer, name string) {
	if name != "tags" {
		l.SkipRecursive()
		return
	}
	eachElement(l, func() {
		o.element(l)
		var p tagPolicy
		eachField(l, func(name string) {
			switch name {
			case "name":
				p.tag = text(l)
			case "referencePolicy":
				eachField(l, func(name string) {
					if name == "type" {
						p.policy = text(l)
						return
					}
					l.SkipRecursive()
				})
			default:
				l.SkipRecursive()
			}
		})
		o.policies = append(o.policies, p)
	})
}

func (o *object) decodeStatus(l *jlexer.Lexer, name string) {
	switch name {
	case "dockerImageRepository":
		o.repository = text(l)
	case "publicDockerImageRepository":
		o.public = text(l)
	case "tags":
		eachElement(l, func() {
			o.element(l)
			var t statusTag
			eachField(l, func(name string) {
				switch name {
				case "tag":
					t.name = text(l)
				case "items":
					eachElement(l, func() {
						o.element(l)
						t.items = append(t.items, decodeItem(l))
					})
				default:
					l.SkipRecursive()
				}
			})
			o.tags = append(o.tags, t)
		})
	default:
		l.SkipRecursive()
	}
}

func decodeItem(l *jlexer.Lexer) tagItem {
	var i tagItem
	eachField(l, func(name string) {
		switch name {
		case "created":
			i.created = text(l)
		case "dockerImageReference":
			i.reference = text(l)
		case "image":
			i.image = text(l)
		default:
			l.SkipRecursive()
		}
	})
	return i
}

// eachField calls f with the name of each field; f reads the value. The name is part of the
// body's memory, so f must not keep it. Null has no fields.
func eachField(l *jlexer.Lexer, f func(name string)) {
	if l.IsNull() {
		l.Skip()
		return
	}
	l.Delim('{')
	for !l.IsDelim('}') {
		name := l.UnsafeFieldName(false)
		l.WantColon()
		f(name)
		l.WantComma()
	}
	l.Delim('}')
}

// eachElement calls f for each element; f reads it. Null has no elements.
func eachElement(l *jlexer.Lexer, f func()) {
	if l.IsNull() {
		l.Skip()
		return
	}
	l.Delim('[')
	for !l.IsDelim(']') {
		f()
		l.WantComma()
	}
	l.Delim(']')
}

// text reads a string; null is empty.
func text(l *jlexer.Lexer) string {
	if l.IsNull() {
		l.Skip()
		return ""
	}
	return l.String()
}

// failed returns the lexer's error without the body, which may be megabytes and would end up
// in the answer and in the log.
func failed(l *jlexer.Lexer) error {
	err := l.Error()
	var where *jlexer.LexerError
	if errors.As(err, &where) {
		return fmt.Errorf("%s at byte %d", where.Reason, where.Offset)
	}
	return err
}

// DecodeList calls each for the ImageStreams of a page of a list, as the API server sends it.
// It returns the token that continues the list; "" for the last page. Of each stream it reads
// what Decode reads of an event. An error may come after some streams were read; each never
// gets the stream that cannot be read.
func DecodeList(page []byte, each func(*StreamState)) (next string, err error) {
	l := &jlexer.Lexer{Data: page}
	eachField(l, func(name string) {
		switch name {
		case "metadata":
			eachField(l, func(name string) {
				if name == "continue" {
					next = text(l)
					return
				}
				l.SkipRecursive()
			})
		case "items":
			eachElement(l, func() {
				o := object{room: math.MaxInt} // the API server wrote it, and LimitPages bounds the page
				o.read(l)
				if l.Ok() {
					each(&StreamState{Namespace: o.namespace, Name: o.name, Labels: o.labels, Stream: o.stream()})
				}
			})
		default:
			l.SkipRecursive()
		}
	})
	l.Consumed()
	if err := failed(l); err != nil {
		return "", fmt.Errorf("decoding a list of ImageStreams: %w", err)
	}
	return next, nil
}

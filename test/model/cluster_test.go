package model_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	imagev1 "github.com/openshift/api/image/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	namespace = "shop"
	registry  = "registry.local:5000/"
	excluded  = "next-dev"
	hostile   = `$(x)"`
	// artefact is the digest that cannot run.
	artefact = 7
	digests  = 7
	// edited is the label that users edit, and that a trigger may select by.
	edited = "edited"
)

var (
	noon        = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	streamNames = []string{"app", "web"}
	tagNames    = []string{"v1", "v2", "latest", "edge", excluded, hostile}
)

func digestOf(n int) string { return fmt.Sprintf("sha256:%064x", n) }

func at(second int) time.Time { return noon.Add(time.Duration(second) * time.Second) }

// item is one item of a tag's history. Digest 0 is none: a mere reference.
type item struct{ digest, created int }

type tag struct {
	name  string
	items []item // newest first
}

// stream is an ImageStream that behaves as the recordings of the real one do.
type stream struct {
	name, uid string
	label     int
	tags      []*tag
	// follows are aliases within the stream: whom each follows.
	follows map[string]string
}

func (s *stream) tag(name string) *tag {
	i := slices.IndexFunc(s.tags, func(t *tag) bool { return t.name == name })
	if i < 0 {
		return nil
	}
	return s.tags[i]
}

// head makes an item the newest of a tag, unless its digest is the head already:
// that is no write at all.
func (s *stream) head(name string, next item) bool {
	t := s.tag(name)
	if t == nil {
		t = &tag{name: name}
		s.tags = append(s.tags, t)
	}
	if len(t.items) > 0 && t.items[0].digest == next.digest {
		return false
	}
	t.items = slices.Insert(t.items, 0, next)
	return true
}

// push moves a tag, and with it in the same write the aliases that follow it.
func (s *stream) push(name string, next item) bool {
	delete(s.follows, name)
	if !s.head(name, next) {
		return false
	}
	for _, alias := range tagNames {
		if s.follows[alias] == name && s.tag(alias) != nil {
			s.head(alias, next)
		}
	}
	return true
}

// alias copies the head of a tag with its time.
func (s *stream) alias(name string, from *stream, source string) bool {
	t := from.tag(source)
	if t == nil || len(t.items) == 0 || (from == s && name == source) {
		return false
	}
	if from == s {
		s.follows[name] = source
	}
	return s.head(name, t.items[0])
}

func (s *stream) remove(name string) bool {
	before := len(s.tags)
	s.tags = slices.DeleteFunc(s.tags, func(t *tag) bool { return t.name == name })
	delete(s.follows, name)
	return len(s.tags) < before
}

// object is the stream as the API server shows it.
func (s *stream) object() *imagev1.ImageStream {
	is := &imagev1.ImageStream{
		TypeMeta:   metav1.TypeMeta{APIVersion: "image.openshift.io/v1", Kind: "ImageStream"},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: s.name, UID: types.UID(s.uid), Labels: map[string]string{edited: strconv.Itoa(s.label % 2)}},
	}
	is.Status.DockerImageRepository = registry + namespace + "/" + s.name
	for _, t := range s.tags {
		list := imagev1.NamedTagEventList{Tag: t.name}
		for _, i := range t.items {
			e := imagev1.TagEvent{Created: metav1.NewTime(at(i.created))}
			if i.digest != 0 {
				e.Image = digestOf(i.digest)
				e.DockerImageReference = is.Status.DockerImageRepository + "@" + e.Image
			}
			list.Items = append(list.Items, e)
		}
		is.Status.Tags = append(is.Status.Tags, list)
	}
	return is
}

// event is what ApiServerSource sends about one write of a stream.
type event struct {
	number int
	verb   string
	shows  *imagev1.ImageStream
	whole  *cloudevents.Event // made when it is first sent
}

// sent is the event on the wire: the whole object, or in Reference mode its name.
func (e *event) sent(reference bool) *cloudevents.Event {
	if reference {
		body := map[string]string{"kind": "ImageStream", "apiVersion": "image.openshift.io/v1", "namespace": namespace, "name": e.shows.Name}
		return e.wrap("dev.knative.apiserver.ref."+e.verb, body)
	}
	if e.whole == nil {
		e.whole = e.wrap("dev.knative.apiserver.resource."+e.verb, e.shows)
	}
	return e.whole
}

func (e *event) wrap(eventType string, body any) *cloudevents.Event {
	ce := cloudevents.New()
	ce.SetID(strconv.Itoa(e.number))
	ce.SetSource("https://10.96.0.1:443")
	ce.SetType(eventType)
	ce.SetSubject("/apis/image.openshift.io/v1/namespaces/" + namespace + "/imagestreams/" + e.shows.Name)
	raw, err := json.Marshal(body)
	must(err)
	must(ce.SetData("application/json", raw))
	return &ce
}

func (e *event) String() string {
	return fmt.Sprintf("event %d (%s %s)", e.number, e.verb, e.shows.Name)
}

package app

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	fakeregistry "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/config"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
	"github.com/revet-dev/revet/pkg/pipeline/publish"
	"github.com/revet-dev/revet/pkg/pipeline/sarif"
	"github.com/revet-dev/revet/pkg/source/registry/registrytest"
)

const (
	firstToken  = "first-token-0123456789"
	secondToken = "second-token-0123456789"
	eventsV2    = "application/vnd.docker.distribution.events.v2+json"
)

// site is a registry that counts requests and fails on demand.
type site struct {
	t        *testing.T
	host     string
	requests atomic.Int32
	answer   atomic.Pointer[http.HandlerFunc]
	odd      *registrytest.Odd
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t}
	s.odd = registrytest.New(fakeregistry.New(fakeregistry.Logger(log.New(io.Discard, "", 0))), registrytest.Oddities{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		if answer := s.answer.Load(); answer != nil {
			(*answer)(w, r)
			return
		}
		s.odd.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	s.host = strings.TrimPrefix(server.URL, "http://")
	return s
}

func (s *site) answering(f http.HandlerFunc) {
	if f == nil {
		s.answer.Store(nil)
		return
	}
	s.answer.Store(&f)
}

// push returns the digest, and forgets the requests that it made.
func (s *site) push(tag string, what remote.Taggable) string {
	s.t.Helper()
	ref, err := name.NewTag(s.host + "/" + tag)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := remote.Push(ref, what); err != nil {
		s.t.Fatal(err)
	}
	s.requests.Store(0)
	d, err := what.(interface{ Digest() (v1.Hash, error) }).Digest()
	if err != nil {
		s.t.Fatal(err)
	}
	return d.String()
}

func (s *site) ref(tag string) name.Tag {
	s.t.Helper()
	ref, err := name.NewTag(s.host + "/" + tag)
	if err != nil {
		s.t.Fatal(err)
	}
	return ref
}

// tag names what is there under another tag, and returns the digest.
func (s *site) tag(tag, digest string) string {
	s.t.Helper()
	ref := s.ref(tag)
	desc, err := remote.Get(ref.Digest(digest))
	if err == nil {
		err = remote.Tag(ref, desc)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return digest
}

func (s *site) digestOf(tag string) string {
	s.t.Helper()
	desc, err := remote.Head(s.ref(tag))
	if err != nil {
		s.t.Fatal(err)
	}
	return desc.Digest.String()
}

func randomImage(t *testing.T) v1.Image {
	t.Helper()
	img, err := random.Image(64, 1)
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config.OS, config.Architecture = "linux", "amd64"
	if img, err = mutate.ConfigFile(img, config); err != nil {
		t.Fatal(err)
	}
	return img
}

// artefact is what a signature looks like: no image configuration, no layers of
// a file system.
func artefact() v1.Image {
	return mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), "application/vnd.oci.empty.v1+json")
}

// registered is a cell whose operator lists the site as "local".
func registered(t *testing.T, s *site, triggers ...*v1alpha1.ImageTrigger) *cell {
	t.Helper()
	c := newCell(t,
		&corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: "revet-system", Name: config.RegistriesConfigMap},
			Data:       map[string]string{config.RegistriesKey: fmt.Sprintf("- {name: local, host: %q, insecure: true, namespaces: [shop]}\n- {name: mute, host: mute.example.com, namespaces: [shop]}", s.host)},
		},
		&corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: "revet-system", Name: config.TokensSecret},
			Data:       map[string][]byte{"local": []byte(firstToken + "\n" + secondToken + "\n")},
		})
	for _, trigger := range triggers {
		if err := c.client.Create(t.Context(), trigger); err != nil {
			t.Fatal(err)
		}
	}
	c.made()
	return c
}

func registryTrigger(s *site, namespace, name string) *v1alpha1.ImageTrigger {
	return triggerNamed(namespace, name, func(t *v1alpha1.ImageTrigger) {
		t.Spec.Images = []v1alpha1.ImageSelector{{Repository: s.host + "/**", Tags: v1alpha1.TagSelector{Exclude: []string{"*-dev"}}}}
	})
}

type target struct{ repository, tag, digest string }

// notify is a notification of pushes.
func notify(t *testing.T, token string, pushes ...target) *http.Request {
	t.Helper()
	var events []map[string]any
	for _, p := range pushes {
		events = append(events, map[string]any{"action": "push", "target": map[string]any{
			"mediaType": "application/vnd.oci.image.manifest.v1+json", "repository": p.repository, "tag": p.tag, "digest": p.digest,
		}})
	}
	r := post(t, "/registries/local", eventsV2, asJSON(map[string]any{"events": events}))
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return r
}

// tags returns the ledger as "trigger tag@digest sequence".
func (c *cell) tags() []string {
	c.t.Helper()
	var entries v1alpha1.ImageVerificationList
	if err := c.client.List(c.t.Context(), &entries); err != nil {
		c.t.Fatal(err)
	}
	got := []string{}
	for _, e := range entries.Items {
		for _, tag := range e.Tags() {
			got = append(got, fmt.Sprintf("%s %s@%s %d", e.Spec.Trigger.Name, tag.Tag, e.Spec.Digest, tag.Sequence))
		}
	}
	return got
}

// repeatedly sends a request as a registry does, until it is accepted, and returns how often
// it was answered 503 before.
func repeatedly(t *testing.T, r *Receiver, request func() *http.Request) int {
	t.Helper()
	for n := range 10 {
		switch code, body := send(t, r, request()); code {
		case http.StatusAccepted:
			return n
		case http.StatusServiceUnavailable:
		default:
			t.Fatalf("answered %d %s, want 202 or 503", code, body)
		}
	}
	t.Fatal("answered 503 for ever")
	return 0
}

// A push to a registry is recorded once, by what the registry shows.
func TestReceiverRecordsARegistrysPushes(t *testing.T) {
	s := newSite(t)
	c := registered(t, s, registryTrigger(s, "shop", "vet"))
	r := c.receiver()
	first, second := randomImage(t), randomImage(t)
	var one, two string
	for n, step := range []struct {
		name     string
		push     func()
		claimed  func() string
		want     func() []string
		requests bool
		repeats  int
	}{
		{"a push", func() { one = s.push("web:prod", first) }, func() string { return one }, func() []string { return []string{"vet prod@" + one + " 1"} }, true, 0},
		{"its notification again costs no request", func() {}, func() string { return one }, func() []string { return []string{"vet prod@" + one + " 1"} }, false, 0},
		{"a moved tag", func() { two = s.push("web:prod", second) }, func() string { return two }, func() []string { return []string{"vet prod@" + one + " 1", "vet prod@" + two + " 2"} }, true, 0},
		{"a roll-back", func() { s.push("web:prod", first) }, func() string { return one }, func() []string { return []string{"vet prod@" + one + " 3", "vet prod@" + two + " 2"} }, true, 0},
		{"a late notification of a digest that the tag has no more", func() {}, func() string { return two }, func() []string { return []string{"vet prod@" + one + " 3", "vet prod@" + two + " 2"} }, true, 3},
		{"a forged digest", func() {}, func() string { return digestOf(66) }, func() []string { return []string{"vet prod@" + one + " 3", "vet prod@" + two + " 2"} }, true, 3},
	} {
		step.push()
		if repeats := repeatedly(t, r, func() *http.Request { return notify(t, firstToken, target{"web", "prod", step.claimed()}) }); repeats != step.repeats {
			t.Errorf("step %d, %s: answered 503 %d times, want %d", n, step.name, repeats, step.repeats)
		}
		if diff := cmp.Diff(step.want(), c.tags(), sorted); diff != "" {
			t.Errorf("step %d, %s: ledger (-want +got):\n%s", n, step.name, diff)
		}
		if got := s.requests.Swap(0) > 0; got != step.requests {
			t.Errorf("step %d, %s: the registry was asked = %t, want %t", n, step.name, got, step.requests)
		}
	}
}

// Who sends is established first: several tokens are valid at once, in either form.
func TestWebhooksAreAuthenticated(t *testing.T) {
	s := newSite(t)
	digest := s.push("web:prod", randomImage(t))
	request := func(change func(*http.Request)) func(*testing.T) *http.Request {
		return func(t *testing.T) *http.Request {
			r := notify(t, "", target{"web", "prod", digest})
			change(r)
			return r
		}
	}
	bearer := func(token string) func(*testing.T) *http.Request {
		return request(func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) })
	}
	for _, test := range []struct {
		name    string
		request func(*testing.T) *http.Request
		want    int
		cause   string
	}{
		{"the first token", bearer(firstToken), 202, ""},
		{"the second token", bearer(secondToken), 202, ""},
		{"a token as a password", request(func(r *http.Request) { r.SetBasicAuth("anybody", firstToken) }), 202, ""},
		{"no token", request(func(*http.Request) {}), 401, "Authorization header"},
		{"another scheme", request(func(r *http.Request) { r.Header.Set("Authorization", "Negotiate x") }), 401, "Authorization header"},
		{"a wrong token", bearer("wrong-token-0123456789"), 403, "registry-webhooks"},
		{"an empty token", request(func(r *http.Request) { r.SetBasicAuth("u", "") }), 403, "registry-webhooks"},
		{"a registry that has no token", request(func(r *http.Request) { r.URL.Path = "/registries/mute"; r.SetBasicAuth("u", "") }), 403, "registry-webhooks"},
		{"a registry that is not listed", request(func(r *http.Request) {
			r.URL.Path = "/registries/nobody"
			r.Header.Set("Authorization", "Bearer "+firstToken)
		}), 404, `config-registries lists no registry of the name "nobody"`},
		{"another method", request(func(r *http.Request) { r.Method = http.MethodGet }), 405, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := registered(t, s, registryTrigger(s, "shop", "vet"))
			code, body := send(t, c.receiver(), test.request(t))
			if code != test.want || !strings.Contains(body, test.cause) {
				t.Errorf("answered %d %q, want %d naming %q", code, body, test.want, test.cause)
			}
			if got := len(c.tags()); (got == 1) != (test.want == http.StatusAccepted) {
				t.Errorf("recorded %d pushes", got)
			}
		})
	}
}

func TestWebhooksThatCannotBeRead(t *testing.T) {
	s := newSite(t)
	huge := asJSON(map[string]string{"events": strings.Repeat("x", 2<<20)})
	for _, test := range []struct {
		name        string
		contentType string
		body        []byte
		want        int
	}{
		{"an empty body", eventsV2, nil, 400},
		{"a truncated body", eventsV2, []byte(`{"events":[{"action":"pu`), 400},
		{"no list of events", eventsV2, []byte(`{}`), 400},
		{"a CloudEvent", "application/json", []byte(`{}`), 415},
		{"2 MiB", eventsV2, huge, 413},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := registered(t, s, registryTrigger(s, "shop", "vet"))
			r := post(t, "/registries/local", test.contentType, test.body)
			r.Header.Set("Authorization", "Bearer "+firstToken)
			if code, body := send(t, c.receiver(), r); code != test.want || body == "" {
				t.Errorf("answered %d %q, want %d with a cause", code, body, test.want)
			}
		})
	}
}

// What a real registry sent for blobs, mounts, untagged children and deletes
// is passed over; its tagged manifests are looked up.
func TestRecordedNotificationsAreUnderstood(t *testing.T) {
	files, err := filepath.Glob(filepath.FromSlash("../../test/events/distribution/*.json"))
	if err != nil || len(files) < 10 {
		t.Fatalf("found %d recordings, %v", len(files), err)
	}
	s := newSite(t)
	tagged := map[string]bool{"003": true, "007": true, "024": true, "028": true, "036": true, "039": true}
	for _, file := range files {
		number := strings.TrimSuffix(file[strings.LastIndex(file, "-")+1:], ".json")
		t.Run(number, func(t *testing.T) {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var recording struct {
				Body    json.RawMessage     `json:"body"`
				Headers map[string][]string `json:"headers"`
			}
			if err := json.Unmarshal(content, &recording); err != nil {
				t.Fatal(err)
			}
			c := registered(t, s, registryTrigger(s, "shop", "vet"))
			s.requests.Store(0)
			want := 0
			if tagged[number] {
				want = 3 // the registry may show the tag later
			}
			if repeats := repeatedly(t, c.receiver(), func() *http.Request {
				r := post(t, "/registries/local", recording.Headers["Content-Type"][0], recording.Body)
				r.Header.Set("Authorization", "Bearer "+firstToken)
				return r
			}); repeats != want {
				t.Errorf("answered 503 %d times, want %d", repeats, want)
			}
			if asked := s.requests.Load() > 0; asked != tagged[number] {
				t.Errorf("the registry was asked = %t, want %t", asked, tagged[number])
			}
			if got := c.tags(); len(got) != 0 {
				t.Errorf("recorded %v, which the registry does not have", got)
			}
		})
	}
}

// What cannot run is exempt by its content, and remembered; a name exempts nothing.
func TestArtefactsOfARegistryAreExempt(t *testing.T) {
	s := newSite(t)
	c := registered(t, s, registryTrigger(s, "shop", "vet"))
	r := c.receiver()
	signature := "sha256-" + strings.Repeat("a", 64) + ".sig"
	digest := s.push("web:"+signature, artefact())
	for n := range 2 {
		if code, body := send(t, r, notify(t, firstToken, target{"web", signature, digest})); code != http.StatusAccepted {
			t.Fatalf("answered %d %s, want 202", code, body)
		}
		if asked := s.requests.Swap(0) > 0; asked != (n == 0) {
			t.Errorf("notification %d: the registry was asked = %t", n+1, asked)
		}
	}
	if got := c.tags(); len(got) != 0 {
		t.Errorf("recorded %v", got)
	}
	disguised := s.push("web:"+signature, randomImage(t))
	if code, _ := send(t, r, notify(t, firstToken, target{"web", signature, disguised})); code != http.StatusAccepted {
		t.Errorf("answered %d, want 202", code)
	}
	if diff := cmp.Diff([]string{"vet " + signature + "@" + disguised + " 1"}, c.tags()); diff != "" {
		t.Errorf("an image in a signature's name (-want +got):\n%s", diff)
	}
}

// What a run publishes beside an image starts no run: neither the reports, nor
// the list of them that clients keep under the tag sha256-HEX. An image in that
// list, or under that name, is still recorded.
func TestPublishedReportsAreExempt(t *testing.T) {
	s := newSite(t)
	c := registered(t, s, registryTrigger(s, "shop", "vet"))
	r := c.receiver()
	digest := s.push("web:v1", randomImage(t))
	subject := oci.Descriptor{MediaType: string(types.DockerManifestSchema2), Size: 1}
	if err := subject.Digest.UnmarshalText([]byte(digest)); err != nil {
		t.Fatal(err)
	}
	repository, err := image.ParseRepository(s.host + "/web")
	if err != nil {
		t.Fatal(err)
	}
	trust, err := fetch.LoadTrust("", []string{s.host})
	if err != nil {
		t.Fatal(err)
	}
	to, err := publish.NewRegistry(repository, fetch.Options{Trust: trust})
	if err != nil {
		t.Fatal(err)
	}
	fallback := "sha256-" + subject.Digest.Hex()
	told := func(tag, digest string) {
		t.Helper()
		if code, body := send(t, r, notify(t, firstToken, target{"web", tag, digest})); code != http.StatusAccepted {
			t.Fatalf("answered %d %s, want 202", code, body)
		}
	}
	for _, mediaType := range []string{sarif.MediaType, "application/vnd.cyclonedx+json"} {
		d, err := to.Push(t.Context(), publish.Artifact{Subject: subject, Type: mediaType, Content: []byte("{}"), Title: mediaType})
		if err != nil {
			t.Fatal(err)
		}
		told("", d.String())
		told("report", s.tag("web:report", d.String()))
		told(fallback, s.digestOf("web:"+fallback))
	}
	if got := c.tags(); len(got) != 0 {
		t.Errorf("recorded %v", got)
	}
	listed, err := remote.Index(s.ref("web:" + fallback))
	if err != nil {
		t.Fatal(err)
	}
	with := s.push("web:"+fallback, mutate.AppendManifests(listed, mutate.IndexAddendum{Add: randomImage(t)}))
	told(fallback, with)
	disguised := s.push("web:"+fallback, randomImage(t))
	told(fallback, disguised)
	want := []string{"vet " + fallback + "@" + with + " 1", "vet " + fallback + "@" + disguised + " 2"}
	got := c.tags()
	slices.Sort(want)
	slices.Sort(got) // entries come by their names, which are hashes
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("images under the list's name (-want +got):\n%s", diff)
	}
}

// A registry's temporary failure is the sender's to repeat; its refusal is not.
func TestFailuresOfARegistry(t *testing.T) {
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v2/" {
				w.WriteHeader(code)
			}
		}
	}
	for _, test := range []struct {
		name   string
		answer http.HandlerFunc
		want   int
		logged string
	}{
		{"the tag is not there yet", status(404), 503, "NotShown"},
		{"the account may not", status(403), 202, "RegistryDenied"},
		{"an error", status(500), 503, "Unavailable"},
		{"too many requests", status(429), 503, "Unavailable"},
		{"no answer", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 503, "Unavailable"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSite(t)
			c := registered(t, s, registryTrigger(s, "shop", "vet"))
			r := c.receiver()
			digest := s.push("web:prod", randomImage(t))
			s.answering(test.answer)
			if code, body := send(t, r, notify(t, firstToken, target{"web", "prod", digest})); code != test.want {
				t.Errorf("answered %d %s, want %d", code, body, test.want)
			}
			if n := c.log.FilterField(zapReason(test.logged)).Len(); test.logged != "" && n != 1 {
				t.Errorf("%s was logged %d times, want once", test.logged, n)
			}
			if got := c.tags(); len(got) != 0 {
				t.Errorf("recorded %v", got)
			}
			s.answering(nil)
			if code, _ := send(t, r, notify(t, firstToken, target{"web", "prod", digest})); code != http.StatusAccepted || len(c.tags()) != 1 {
				t.Errorf("afterwards answered %d with ledger %v, want 202 with one push", code, c.tags())
			}
		})
	}
}

// A notification is acted on only for triggers of namespaces that the operator
// lists, tags that they select, and repositories, never ImageStreams.
func TestNotificationsAreSelected(t *testing.T) {
	s := newSite(t)
	streams := triggerNamed("shop", "streams", func(t *v1alpha1.ImageTrigger) {
		t.Spec.Images = []v1alpha1.ImageSelector{{ImageStreams: &v1alpha1.ImageStreamSelector{NamespaceSelector: &metav1.LabelSelector{}}}}
	})
	c := registered(t, s, registryTrigger(s, "shop", "vet"), registryTrigger(s, "evil", "unlisted"), streams)
	r := c.receiver()
	prod, dev := s.push("web:prod", randomImage(t)), s.push("web:x-dev", randomImage(t))
	request := notify(t, firstToken, target{"web", "prod", prod}, target{"web", "prod", prod}, target{"web", "x-dev", dev}, target{"web", "", prod}, target{"web", "$(id)", prod})
	if code, body := send(t, r, request); code != http.StatusAccepted {
		t.Fatalf("answered %d %s, want 202", code, body)
	}
	if diff := cmp.Diff([]string{"vet prod@" + prod + " 1"}, c.tags()); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
	logged := c.log.FilterField(zapReason("RegistryNotAllowed")).All()
	if len(logged) != 1 || !strings.Contains(fmt.Sprint(logged[0].ContextMap()["error"]), `add namespace "evil"`) {
		t.Errorf("the unlisted namespace was logged as %v, want once with the cure", logged)
	}
}

func TestHundredNotificationsAtOnceGiveOneEntry(t *testing.T) {
	s := newSite(t)
	c := registered(t, s, registryTrigger(s, "shop", "vet"))
	receivers := []*Receiver{c.receiver(), c.receiver()}
	digest := s.push("web:prod", randomImage(t))
	var wg sync.WaitGroup
	for n := range 100 {
		wg.Go(func() {
			if code, body := send(t, receivers[n%2], notify(t, firstToken, target{"web", "prod", digest})); code != http.StatusAccepted {
				t.Errorf("notification %d was answered %d %s, want 202", n, code, body)
			}
		})
	}
	wg.Wait()
	if diff := cmp.Diff([]string{"vet prod@" + digest + " 1"}, c.tags()); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
}

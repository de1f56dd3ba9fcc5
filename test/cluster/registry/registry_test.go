package registry_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/revet-dev/revet/test/cluster/registry"
)

func start(t *testing.T, o registry.Options) *registry.Registry {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	r, err := registry.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Stop(); err != nil {
			t.Errorf("stopping the registry: %v", err)
		}
	})
	return r
}

func image(t *testing.T) (v1.Image, v1.Hash) {
	t.Helper()
	img, err := random.Image(64, 1)
	if err != nil {
		t.Fatal(err)
	}
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return img, digest
}

func reference(t *testing.T, r *registry.Registry, path string) name.Reference {
	t.Helper()
	ref, err := name.ParseReference(r.Addr()+"/"+path, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func push(t *testing.T, r *registry.Registry, path string, img v1.Image) {
	t.Helper()
	if err := remote.Write(reference(t, r, path), img, remote.WithContext(t.Context())); err != nil {
		t.Fatalf("pushing %q: %v", path, err)
	}
}

func TestContentSurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	img, want := image(t)
	first := start(t, registry.Options{Dir: dir})
	push(t, first, "demo/app:latest", img)
	if err := first.Stop(); err != nil {
		t.Fatal(err)
	}

	second := start(t, registry.Options{Dir: dir, Addr: first.Addr()})
	got, err := remote.Image(reference(t, second, "demo/app:latest"), remote.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	digest, err := got.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if digest != want {
		t.Errorf("the tag shows %v after the restart, want %v", digest, want)
	}
}

type notification struct {
	Authorization, Repository, Tag, Digest string
}

func TestEachEndpointIsNotifiedOfAPushAlsoWhenItFirstRefuses(t *testing.T) {
	got := make(chan notification, 100)
	refusals := 2
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var envelope struct {
			Events []struct {
				Action string
				Target struct{ MediaType, Repository, Tag, Digest string }
			}
		}
		if err := json.NewDecoder(r.Body).Decode(&envelope); err != nil {
			t.Errorf("decoding a notification: %v", err)
		}
		for _, e := range envelope.Events {
			if e.Action != "push" || !strings.Contains(e.Target.MediaType, "manifest") {
				continue
			}
			if refusals > 0 {
				refusals--
				http.Error(w, "later", http.StatusServiceUnavailable)
				return
			}
			got <- notification{r.Header.Get("Authorization"), e.Target.Repository, e.Target.Tag, e.Target.Digest}
		}
	}))
	defer endpoint.Close()
	r := start(t, registry.Options{Endpoints: []registry.Endpoint{{
		Name: "receiver", URL: endpoint.URL, Backoff: 10 * time.Millisecond,
		Headers: http.Header{"Authorization": {"Bearer made-up"}},
	}}})
	img, digest := image(t)
	push(t, r, "demo/app:v1", img)

	select {
	case n := <-got:
		want := notification{"Bearer made-up", "demo/app", "v1", digest.String()}
		if diff := cmp.Diff(want, n); diff != "" {
			t.Errorf("notification (-want +got):\n%s", diff)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("no notification of the push came within 20 s")
	}
}

func TestTwoRegistriesInOneProcessShareNothing(t *testing.T) {
	a, b := start(t, registry.Options{}), start(t, registry.Options{})
	img, _ := image(t)
	push(t, a, "demo/app:latest", img)
	_, err := remote.Head(reference(t, b, "demo/app:latest"), remote.WithContext(t.Context()))
	if status := (*transport.Error)(nil); !errors.As(err, &status) || status.StatusCode != http.StatusNotFound {
		t.Errorf("the second registry answers %v for an image of the first, want 404", err)
	}
}

func TestOnPushIsToldOfManifestsBeforeTheClient(t *testing.T) {
	var told []registry.Push
	r := start(t, registry.Options{OnPush: func(_ context.Context, p registry.Push) error {
		told = append(told, p)
		return nil
	}})
	img, digest := image(t)
	push(t, r, "demo/app:latest", img)
	push(t, r, "demo/app@"+digest.String(), img) // a client may leave out what the registry has
	untagged, other := image(t)
	push(t, r, "demo/app@"+other.String(), untagged)

	var tagged, bare bool
	for _, p := range told {
		tagged = tagged || p == registry.Push{Repository: "demo/app", Tag: "latest", Digest: digest}
		bare = bare || p == registry.Push{Repository: "demo/app", Digest: other}
	}
	if !tagged || !bare {
		t.Errorf("told of %v, want a push of latest to %v and an untagged push of %v", told, digest, other)
	}
}

func TestAFailingOnPushFailsThePush(t *testing.T) {
	for name, row := range map[string]struct {
		err  error
		want int
	}{
		"what trying again does not cure is forbidden":   {&registry.Refused{Reason: "not a stream's name"}, http.StatusForbidden},
		"what trying again may cure is for another time": {errors.New("no API server"), http.StatusServiceUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, registry.Options{OnPush: func(context.Context, registry.Push) error { return row.err }})
			img, _ := image(t)
			err := remote.Write(reference(t, r, "demo/app:latest"), img, remote.WithContext(t.Context()),
				remote.WithRetryStatusCodes(), remote.WithRetryBackoff(remote.Backoff{Steps: 1}))
			status := (*transport.Error)(nil)
			if !errors.As(err, &status) || status.StatusCode != row.want {
				t.Fatalf("the push ended with %v, want status %d", err, row.want)
			}
			if !strings.Contains(status.Error(), row.err.Error()) {
				t.Errorf("the client is told %q, which does not name the cause %q", status, row.err)
			}
		})
	}
}

func TestAnIndexMayNameManifestsThatAreMissing(t *testing.T) {
	r := start(t, registry.Options{})
	child, _ := image(t)
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: child})
	pusher, err := remote.NewPusher(remote.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	// A plain Taggable is sent alone; an ImageIndex would bring its children.
	raw, err := index.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	if err := pusher.Push(t.Context(), reference(t, r, "demo/app:sparse"), rawIndex(raw)); err != nil {
		t.Errorf("pushing an index without its children: %v", err)
	}
}

type rawIndex []byte

func (r rawIndex) RawManifest() ([]byte, error) { return r, nil }
func (r rawIndex) MediaType() (types.MediaType, error) {
	return types.OCIImageIndex, nil
}

func TestTheURLOfARegistryThatListensEverywhereIsOfThisMachine(t *testing.T) {
	r := start(t, registry.Options{Addr: "0.0.0.0:0"})
	if !strings.HasPrefix(r.URL(), "http://127.0.0.1:") {
		t.Errorf("the URL is %q", r.URL())
	}
}

func TestATagCanBeDeleted(t *testing.T) {
	r := start(t, registry.Options{})
	img, _ := image(t)
	push(t, r, "demo/app:v1", img)
	if err := remote.Delete(reference(t, r, "demo/app:v1"), remote.WithContext(t.Context())); err != nil {
		t.Fatalf("deleting the tag: %v", err)
	}
	if _, err := remote.Head(reference(t, r, "demo/app:v1"), remote.WithContext(t.Context())); err == nil {
		t.Error("the tag is still there after its deletion")
	}
}

func TestWrongOptionsAreRefused(t *testing.T) {
	for name, o := range map[string]registry.Options{
		"a directory is required":               {},
		"an address needs a port":               {Dir: "x", Addr: "127.0.0.1"},
		"an endpoint needs an absolute URL":     {Dir: "x", Endpoints: []registry.Endpoint{{Name: "a", URL: "/x"}}},
		"endpoint names cannot be repeated":     {Dir: "x", Endpoints: []registry.Endpoint{{Name: "a", URL: "http://h/"}, {Name: "a", URL: "http://h/"}}},
		"an endpoint's time cannot be negative": {Dir: "x", Endpoints: []registry.Endpoint{{Name: "a", URL: "http://h/", Timeout: -1}}},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := registry.Start(t.Context(), o)
			if err == nil {
				t.Errorf("Start took %+v", o)
				_ = r.Stop()
			}
		})
	}
}

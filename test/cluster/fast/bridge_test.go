package fast_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

func parse(host, path string) (name.Reference, error) {
	return name.ParseReference(host+"/"+path, name.Insecure)
}

func newImage(t *testing.T) (v1.Image, string) {
	t.Helper()
	img, err := random.Image(64, 1)
	if err != nil {
		t.Fatal(err)
	}
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return img, digest.String()
}

// write pushes once, without a client's retries.
func write(ctx context.Context, path string, img v1.Image) error {
	ref, err := parse(shared.Registry().Addr(), path)
	if err != nil {
		return err
	}
	return remote.Write(ref, img, remote.WithContext(ctx), remote.WithRetryStatusCodes(), remote.WithRetryBackoff(remote.Backoff{Steps: 1}))
}

// push pushes a new image and returns its digest.
func push(t *testing.T, path string) string {
	t.Helper()
	img, digest := newImage(t)
	if err := write(t.Context(), path, img); err != nil {
		t.Fatalf("pushing %q: %v", path, err)
	}
	return digest
}

func objects(t *testing.T) dynamic.Interface {
	t.Helper()
	client, err := dynamic.NewForConfig(shared.RESTConfig())
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// history is the digests of a tag, newest first.
func history(t *testing.T, namespace, stream, tag string) ([]string, error) {
	t.Helper()
	object, err := objects(t).Resource(streamResource).Namespace(namespace).Get(t.Context(), stream, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	var all []string
	for _, entry := range list(object.Object, "status", "tags") {
		if text(entry, "tag") != tag {
			continue
		}
		for _, item := range list(entry, "items") {
			all = append(all, text(item, "image"))
		}
	}
	return all, nil
}

func hasHead(t *testing.T, namespace, stream, tag, digest string) error {
	t.Helper()
	all, err := history(t, namespace, stream, tag)
	if err != nil {
		return err
	}
	if len(all) == 0 || all[0] != digest {
		return fmt.Errorf("tag %q of %s/%s shows %v, want %s first", tag, namespace, stream, all, digest)
	}
	return nil
}

// A cluster that starts on a registry's old content finds what was pushed before; a stream can only be where its
// namespace is, so that it waits for that.
func TestPushesOfBeforeAreFoundWhenTheirNamespaceAppears(t *testing.T) {
	namespace, stream, _ := strings.Cut(survivor.repository, "/")
	if _, err := history(t, namespace, stream, "latest"); !apierrors.IsNotFound(err) {
		t.Fatalf("a stream without a namespace: %v", err)
	}
	_, err := admin(t).CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the stream of the image pushed before", func() error {
		return hasHead(t, namespace, stream, "latest", survivor.digest)
	})
}

// Images may be pushed before their namespace is made, none has to wait for it, and none is forgotten.
func TestPushesAreAcceptedBeforeTheirNamespaceExists(t *testing.T) {
	namespace := "late-" + newNamespace(t)
	first := push(t, namespace+"/app:latest")
	second := push(t, namespace+"/app:latest")
	_, err := admin(t).CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "both images in the order of their pushes", func() error {
		got, err := history(t, namespace, "app", "latest")
		if err == nil && strings.Join(got, " ") != second+" "+first {
			err = fmt.Errorf("the tag shows %v, want %v", got, []string{second, first})
		}
		return err
	})
}

func TestNoPushIsLostAmongMany(t *testing.T) {
	namespace := newNamespace(t)
	const tags, pushes = 8, 6
	want := make([][]string, tags)
	var clients sync.WaitGroup
	for i := range tags {
		images := make([]v1.Image, pushes)
		for j := range pushes {
			var digest string
			images[j], digest = newImage(t)
			want[i] = append([]string{digest}, want[i]...)
		}
		clients.Go(func() {
			for _, img := range images {
				if err := write(t.Context(), fmt.Sprintf("%s/app:t%d", namespace, i), img); err != nil {
					t.Errorf("pushing: %v", err)
				}
			}
		})
	}
	clients.Wait()
	for i := range tags {
		got, err := history(t, namespace, "app", fmt.Sprintf("t%d", i))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Join(got, " ") != strings.Join(want[i], " ") {
			t.Errorf("tag t%d shows %v, want %v", i, got, want[i])
		}
	}
}

func TestTheSamePushAfterItsStreamWasDeletedMakesANewStream(t *testing.T) {
	namespace := newNamespace(t)
	img, digest := newImage(t)
	path := namespace + "/app:latest"
	if err := write(t.Context(), path, img); err != nil {
		t.Fatal(err)
	}
	if err := objects(t).Resource(streamResource).Namespace(namespace).Delete(t.Context(), "app", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	ref, err := parse(shared.Registry().Addr(), path)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the registry forgetting the tag", func() error {
		if _, err := remote.Head(ref, remote.WithContext(t.Context())); err == nil {
			return errors.New("the registry still has it")
		}
		return nil
	})
	if err := write(t.Context(), path, img); err != nil {
		t.Fatal(err)
	}
	if err := hasHead(t, namespace, "app", "latest", digest); err != nil {
		t.Error(err)
	}
}

func TestRepositoriesThatCannotBeStreams(t *testing.T) {
	namespace := newNamespace(t)
	for name, row := range map[string]struct {
		repository string
		status     int // 0: the push succeeds
	}{
		"one part is no stream and is left alone":      {"alone", 0},
		"three parts are no stream and are left alone": {namespace + "/a/b", 0},
		"a name that no stream can have is refused":    {namespace + "/a__b", http.StatusForbidden},
		"a namespace that cannot exist is refused":     {"a.b/app", http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			img, _ := newImage(t)
			err := write(t.Context(), row.repository+":latest", img)
			status := (*transport.Error)(nil)
			if row.status == 0 && err != nil || row.status != 0 && (!errors.As(err, &status) || status.StatusCode != row.status) {
				t.Errorf("the push ended with %v, want status %d", err, row.status)
			}
		})
	}
	streams, err := objects(t).Resource(streamResource).Namespace(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil || len(streams.Items) > 0 {
		t.Errorf("there are streams %v, %v, want none", streams, err)
	}
}

// A registry in another process tells of its pushes by notifications.
func TestNotificationsMoveHeads(t *testing.T) {
	namespace := newNamespace(t)
	push(t, namespace+"/app:first") // a push by digest into a stream that does not exist fails
	img, digest := newImage(t)
	if err := write(t.Context(), namespace+"/app@"+digest, img); err != nil {
		t.Fatal(err)
	}
	bridge := httptest.NewServer(shared.OpenShift())
	defer bridge.Close()
	post := func(body string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, bridge.URL, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode
	}
	notification := func(at time.Time, mediaType, tag string) string {
		return fmt.Sprintf(`{"events":[{"action":"push","timestamp":%q,"target":{"mediaType":%q,"repository":%q,"tag":%q,"digest":%q}}]}`,
			at.Format(time.RFC3339Nano), mediaType, namespace+"/app", tag, digest)
	}
	const manifest = "application/vnd.docker.distribution.manifest.v2+json"
	if got := post(notification(time.Now(), manifest, "told")); got != http.StatusOK {
		t.Errorf("the notification was answered %d", got)
	}
	if err := hasHead(t, namespace, "app", "told", digest); err != nil {
		t.Error(err)
	}
	if got := post(notification(time.Now(), "application/octet-stream", "blob")); got != http.StatusOK {
		t.Errorf("a notification of a blob was answered %d", got)
	}
	if all, err := history(t, namespace, "app", "blob"); err != nil || len(all) > 0 {
		t.Errorf("a notification of a blob made %v, %v", all, err)
	}
	if got := post("no JSON"); got != http.StatusBadRequest {
		t.Errorf("what is no notification was answered %d, want 400", got)
	}
}

func TestATagIsShownWithItsImage(t *testing.T) {
	namespace := newNamespace(t)
	digest := push(t, namespace+"/app:v1")
	tags := schema.GroupVersionResource{Group: "image.openshift.io", Version: "v1", Resource: "imagestreamtags"}
	tag, err := objects(t).Resource(tags).Namespace(namespace).Get(t.Context(), "app:v1", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := text(tag.Object, "image", "metadata", "name"); got != digest {
		t.Errorf("the tag's image is %q, want %q", got, digest)
	}
	if got, want := text(tag.Object, "image", "dockerImageReference"), "/"+namespace+"/app@"+digest; !strings.HasSuffix(got, want) {
		t.Errorf("the tag's image is at %q, want it to end in %q", got, want)
	}
}

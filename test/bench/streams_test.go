//go:build linux && bench

package bench

import (
	"context"
	"fmt"
	"testing"
	"time"

	imagev1 "github.com/openshift/api/image/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/test/rig"
)

const (
	// streamTags is how many tags the streams have.
	streamTags = 20
	// keptItems is how much of a tag's history is kept, as by pruning.
	keptItems = 3
)

func digestOf(content string) string { return rig.DigestOf(content) }

// repository is an ImageStream that images are pushed to.
type repository struct {
	client client.Client
	stream *imagev1.ImageStream
}

func newRepository(b *testing.B, c client.Client, namespace string) *repository {
	b.Helper()
	r := &repository{client: c, stream: &imagev1.ImageStream{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "app"}}}
	if err := c.Create(b.Context(), r.stream); err != nil {
		b.Fatal(err)
	}
	return r
}

// prepare makes the Image that push number n shows, and the stream as it then is.
func (r *repository) prepare(ctx context.Context, n int) (digest string, err error) {
	digest = digestOf(fmt.Sprintf("%s %d", r.stream.Namespace, n))
	reference := r.stream.Status.DockerImageRepository + "@" + digest
	if err := r.client.Create(ctx, rig.NewImage(digest, reference)); err != nil {
		return "", err
	}
	tag := fmt.Sprintf("v%d", n%streamTags)
	event := imagev1.TagEvent{Created: metav1.NewTime(time.Now().Truncate(time.Second)), DockerImageReference: reference, Image: digest, Generation: 1}
	status := &r.stream.Status
	for i := range status.Tags {
		if status.Tags[i].Tag == tag {
			items := append([]imagev1.TagEvent{event}, status.Tags[i].Items...)
			status.Tags[i].Items = items[:min(len(items), keptItems)]
			return digest, nil
		}
	}
	status.Tags = append(status.Tags, imagev1.NamedTagEventList{Tag: tag, Items: []imagev1.TagEvent{event}})
	return digest, nil
}

// push writes what was prepared.
func (r *repository) push(ctx context.Context) error { return r.client.Status().Update(ctx, r.stream) }

// shownTag is tag number n of a stream, which shows one push.
func shownTag(stream *imagev1.ImageStream, n int, digest string, pushed metav1.Time) imagev1.NamedTagEventList {
	repository := "registry.example.com/" + stream.Namespace + "/" + stream.Name
	return imagev1.NamedTagEventList{Tag: fmt.Sprintf("v1.%d", n), Items: []imagev1.TagEvent{{
		Created: pushed, DockerImageReference: repository + "@" + digest, Image: digest, Generation: 1,
	}}}
}

// copyStreams makes so many streams, each with the name, the tags and, but for the first, the UID of
// what shown returns for its number. It returns the first.
func (e *bed) copyStreams(b *testing.B, number int, shown func(n int) *imagev1.ImageStream) *imagev1.ImageStream {
	b.Helper()
	first, want := shown(0), shown(0)
	first.UID = ""
	if err := e.admin.Create(b.Context(), first); err != nil {
		b.Fatal(err)
	}
	first.Status.Tags = want.Status.Tags
	if err := e.admin.Status().Update(b.Context(), first); err != nil {
		b.Fatal(err)
	}
	seed(b, e, first, number, func(n int, o *imagev1.ImageStream) error {
		want := shown(n)
		o.Namespace, o.Name, o.UID, o.Status.Tags = want.Namespace, want.Name, want.UID, want.Status.Tags
		return nil
	})
	return first
}

// streamUID is the UID of stream number n.
func streamUID(n int) types.UID { return types.UID(fmt.Sprintf("00000000-0000-4000-8000-%012d", n)) }

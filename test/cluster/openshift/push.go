package openshift

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	imagev1 "github.com/openshift/api/image/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/util/retry"

	"github.com/revet-dev/revet/test/cluster/openshift/imageapi"
	"github.com/revet-dev/revet/test/cluster/registry"
)

// errNoTag is a tag to delete that is not there.
var errNoTag = errors.New("there is no such tag")

// Pushed makes the changes of one push and returns when they are made. When the time for that runs out it returns an
// error and goes on trying. It may be called before [Emulation.Bridge], and then waits for it.
func (e *Emulation) Pushed(ctx context.Context, p registry.Push) error {
	return e.told(ctx, p, time.Time{})
}

// told is Pushed for what the registry told at a time; zero is just now. What was
// told before the repository was read as a whole is covered by that, and would
// bring back what has been replaced. That is asked when it is the push's turn, as
// nothing is covered before the comparison, which is in the same queue, is done.
func (e *Emulation) told(ctx context.Context, p registry.Push, when time.Time) error {
	key, ok, err := keyOf(p.Repository)
	if !ok || err != nil {
		return err
	}
	at := metav1.NewTime(e.options.Now().Truncate(time.Second))
	t := newTask("push", func(ctx context.Context) error {
		if !when.IsZero() && e.synced.covers(key, when) {
			return nil
		}
		return e.push(ctx, key, p, at)
	})
	e.queues.add(key, t)
	ctx, cancel := context.WithTimeout(ctx, e.options.PushTimeout)
	defer cancel()
	err = t.wait(ctx)
	switch {
	case err == nil:
		return nil
	case apierrors.IsInvalid(err):
		// The real registry does not look into the refusal of the API server.
		return &registry.Refused{Reason: err.Error(), Status: http.StatusInternalServerError}
	case hopeless(err):
		return &registry.Refused{Reason: err.Error()}
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("image stream %q could not be written within %v; is the API server up? It is tried further", key, e.options.PushTimeout)
	default:
		return fmt.Errorf("writing image stream %q: %w", key, err)
	}
}

// keyOf reads a repository's name. Others than namespace/stream are none of the bridge's business.
func keyOf(repository string) (key streamKey, ok bool, err error) {
	namespace, name, _ := strings.Cut(repository, "/")
	if namespace == "" || name == "" || strings.Contains(name, "/") {
		return streamKey{}, false, nil
	}
	if len(validation.IsDNS1123Label(namespace)) > 0 {
		return streamKey{}, false, &registry.Refused{Reason: fmt.Sprintf("%q cannot be a namespace: push to <namespace>/<stream>", namespace)}
	}
	if !imageapi.ValidName(name) {
		return streamKey{}, false, &registry.Refused{Reason: fmt.Sprintf("%q cannot be the name of an image stream: use lower-case letters and digits, with a single '-', '.' or '_' between them", name)}
	}
	return streamKey{namespace, name}, true, nil
}

// push creates stream and Image where they are missing and writes the tag's head, in the order of the real thing.
func (e *Emulation) push(ctx context.Context, key streamKey, p registry.Push, at metav1.Time) error {
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		stream, err := e.objects.ensureStream(ctx, key)
		if err != nil {
			return fmt.Errorf("reading or creating stream %q: %w", key, err)
		}
		reference := imageapi.Hosts{InCluster: e.options.InCluster}.Reference(key.namespace, key.name, p.Digest.String())
		if err := e.ensureImage(ctx, p, reference, at); err != nil {
			return err
		}
		if p.Tag == "" {
			return nil
		}
		item := imagev1.TagEvent{
			Created: at, DockerImageReference: reference, Image: p.Digest.String(), Generation: stream.Generation,
		}
		if !imageapi.AddTagEvent(stream, p.Tag, item) {
			return nil
		}
		imageapi.MoveFollowers(stream, p.Tag, item)
		e.pushed.set(key, p.Tag, item.Image)
		return e.objects.writeStatus(ctx, stream)
	})
}

func (e *Emulation) ensureImage(ctx context.Context, p registry.Push, reference string, at metav1.Time) error {
	has, err := e.objects.hasImage(ctx, p.Digest.String())
	if has || err != nil {
		return err
	}
	m, err := e.source.manifest(ctx, p.Repository, p.Digest)
	if err != nil {
		return err
	}
	image, err := newImage(m, reference, at.Time)
	if err != nil {
		return err
	}
	if err := e.objects.createImage(ctx, image); err != nil {
		return fmt.Errorf("creating image %s: %w", p.Digest, err)
	}
	return nil
}

// DeleteTag does what deleting an ImageStreamTag does on OpenShift, and returns when it is done.
func (e *Emulation) DeleteTag(ctx context.Context, namespace, name, tag string) error {
	key := streamKey{namespace, name}
	t := newTask("delete tag", func(ctx context.Context) error {
		// The registry first: the other way round, a crash in between would bring the tag back at the next start.
		if err := e.source.untag(ctx, key.String(), tag); err != nil {
			return err
		}
		err := e.objects.deleteTag(ctx, key, tag)
		if apierrors.IsNotFound(err) {
			return fmt.Errorf("%w: %s:%s", errNoTag, key, tag)
		}
		return err
	})
	e.queues.add(key, t)
	if err := t.wait(ctx); err != nil {
		return fmt.Errorf("deleting tag %q of stream %q: %w", tag, key, err)
	}
	return nil
}

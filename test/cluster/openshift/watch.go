package openshift

import (
	"context"
	"errors"
	"fmt"
	"sync"

	imagev1 "github.com/openshift/api/image/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/tools/cache"

	"github.com/revet-dev/revet/test/cluster/openshift/imageapi"
)

// startWatch follows the streams, to remove from the registry what leaves them.
func (e *Emulation) startWatch(ctx context.Context) error {
	_, informer := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: cache.NewListWatchFromClient(e.objects.images, "imagestreams", "", fields.Everything()),
		ObjectType:    &imagev1.ImageStream{},
		Handler: cache.ResourceEventHandlerFuncs{
			UpdateFunc: func(before, after any) { e.left(before.(*imagev1.ImageStream), after.(*imagev1.ImageStream)) },
			DeleteFunc: func(obj any) {
				if last, ok := obj.(cache.DeletedFinalStateUnknown); ok {
					obj = last.Obj
				}
				e.left(obj.(*imagev1.ImageStream), &imagev1.ImageStream{})
			},
		},
	})
	e.watch.Go(func() { informer.RunWithContext(e.queues.run) })
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return fmt.Errorf("reading the image streams: %w", ctx.Err())
	}
	return nil
}

// left removes from the registry the heads that before has and after has not, unless a push replaced them: then the
// registry has the new one already.
func (e *Emulation) left(before, after *imagev1.ImageStream) {
	key := streamKey{before.Namespace, before.Name}
	for _, t := range before.Status.Tags {
		head := imageapi.Head(before, t.Tag)
		if head == nil {
			continue
		}
		now := imageapi.Head(after, t.Tag)
		if now != nil && (now.Image == head.Image || e.pushed.is(key, t.Tag, now.Image)) {
			continue
		}
		e.queues.add(key, newTask("remove tag from the registry", func(ctx context.Context) error {
			return e.untag(ctx, key, t.Tag, head.Image)
		}))
	}
}

// untag removes a tag from the registry if it points to the image that left and the stream does not say so again.
func (e *Emulation) untag(ctx context.Context, key streamKey, tag, image string) error {
	stream, err := e.objects.stream(ctx, key)
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("reading stream %q: %w", key, err)
	}
	if head := imageapi.Head(stream, tag); head != nil && head.Image == image {
		return nil
	}
	digest, err := e.source.tag(ctx, key.String(), tag)
	if errors.Is(err, errNotThere) || err == nil && digest.String() != image {
		return nil
	}
	if err != nil {
		return err
	}
	return e.source.untag(ctx, key.String(), tag)
}

// pushedHeads remember the newest push of each tag, so that heads which pushes brought need no look at the registry.
type pushedHeads struct{ heads sync.Map }

func (p *pushedHeads) set(key streamKey, tag, image string) {
	p.heads.Store(key.String()+":"+tag, image)
}

func (p *pushedHeads) is(key streamKey, tag, image string) bool {
	head, ok := p.heads.Load(key.String() + ":" + tag)
	return ok && head == image
}

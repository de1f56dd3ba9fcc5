package openshift

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/test/cluster/openshift/imageapi"
	"github.com/revet-dev/revet/test/cluster/registry"
)

// syncTimes are the moments at which repositories were read as a whole: what was pushed before is covered by that.
type syncTimes struct {
	mu    sync.Mutex
	times map[streamKey]time.Time
}

func (s *syncTimes) set(key streamKey, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.times == nil {
		s.times = map[streamKey]time.Time{}
	}
	s.times[key] = at
}

func (s *syncTimes) covers(key streamKey, at time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return at.Before(s.times[key])
}

// catchUp pushes again what the registry has and the stream does not show.
func (e *Emulation) catchUp(ctx context.Context, key streamKey) error {
	e.synced.set(key, time.Now())
	tags, err := e.source.tags(ctx, key.String())
	if err != nil || len(tags) == 0 {
		return err
	}
	stream, err := e.objects.stream(ctx, key)
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("reading stream %q: %w", key, err)
	}
	at := metav1.NewTime(e.options.Now().Truncate(time.Second))
	for _, tag := range slices.Sorted(maps.Keys(tags)) {
		if head := imageapi.Head(stream, tag); head != nil && head.Image == tags[tag].String() {
			continue
		}
		if err := e.push(ctx, key, registry.Push{Repository: key.String(), Tag: tag, Digest: tags[tag]}, at); err != nil {
			return err
		}
		e.options.Log.Info("found a push that the stream did not show", "stream", key.String(), "tag", tag, "digest", tags[tag].String())
	}
	return e.relocate(ctx, key)
}

// relocate has the server fill in the registry's names again, which may have changed since the stream was written.
func (e *Emulation) relocate(ctx context.Context, key streamKey) error {
	stream, err := e.objects.stream(ctx, key)
	if err != nil {
		return fmt.Errorf("reading stream %q: %w", key, err)
	}
	want := ""
	if e.options.Public != "" {
		want = e.options.Public + "/" + key.String()
	}
	if stream.Status.PublicDockerImageRepository == want {
		return nil
	}
	return e.objects.writeStatus(ctx, stream)
}

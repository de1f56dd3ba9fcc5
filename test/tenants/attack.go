//go:build linux

package tenants

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	imagev1 "github.com/openshift/api/image/v1"
	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/test/rig"
)

// runList is the kind of lists of PipelineRuns.
var runList = pipelinev1.SchemeGroupVersion.WithKind("PipelineRunList")

const writesAtOnce = 16

// note tells what an attack came to.
func (b *bed) note(format string, args ...any) {
	b.notes = append(b.notes, fmt.Sprintf(format, args...))
}

func inParallel(ctx context.Context, number int, do func(context.Context, int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(writesAtOnce)
	for n := range number {
		group.Go(func() error { return do(ctx, n) })
	}
	return group.Wait()
}

// goOn does something again and again until the bed is stopped. Its errors are the attack's own.
func (b *bed) goOn(ctx context.Context, do func(context.Context) error) {
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	all.Go(func() {
		for ctx.Err() == nil {
			if err := do(ctx); err != nil && ctx.Err() == nil {
				<-time.After(poll)
			}
		}
	})
	b.later(func() { cancel(); all.Wait() })
}

func (b *bed) newStream(ctx context.Context, name string) (*imagev1.ImageStream, error) {
	stream := &imagev1.ImageStream{ObjectMeta: metav1.ObjectMeta{Namespace: hostileNamespace, Name: name}}
	return stream, b.create(ctx, stream)
}

func tagged(tag string, item imagev1.TagEvent) imagev1.NamedTagEventList {
	return imagev1.NamedTagEventList{Tag: tag, Items: []imagev1.TagEvent{item}}
}

// pushMany shows so many new digests in a hostile stream, each under a tag of its own, and tells
// the receiver until it has recorded them.
func (b *bed) pushMany(ctx context.Context, name string, number int) error {
	stream, err := b.newStream(ctx, name)
	if err != nil {
		return err
	}
	for n := range number {
		if _, err := b.show(ctx, stream, n, fmt.Sprintf("v%d", n)); err != nil {
			return err
		}
	}
	if err := b.admin.Status().Update(ctx, stream); err != nil {
		return err
	}
	b.tellHostile(ctx, stream)
	return nil
}

// tellTries is how often an event is sent again that was not taken.
const tellTries = 5

// tellHostile sends a hostile stream to the receiver as an adapter does. What the receiver does
// with it is the hostile namespace's loss.
func (b *bed) tellHostile(ctx context.Context, stream *imagev1.ImageStream) {
	hostile := rig.Elsewhere(30 * time.Second)
	defer hostile.CloseIdleConnections()
	for range tellTries {
		if err := rig.Tell(ctx, hostile, b.receiverAddress, stream); err == nil || ctx.Err() != nil {
			return
		}
		<-time.After(200 * time.Millisecond)
	}
}

// settled is for how long connections are held before anything is measured.
const settled = 2 * time.Second

// holdMany holds connections, and makes each anew that ends.
func (b *bed) holdMany(ctx context.Context, number int, beginning string) error {
	for range number {
		b.goOn(ctx, func(ctx context.Context) error {
			began := time.Now()
			err := rig.Hold(ctx, b.receiverAddress, beginning)
			if time.Since(began) < time.Second { // it was refused, and is tried again at some pace
				<-time.After(time.Second)
			}
			return err
		})
	}
	<-time.After(settled)
	return nil
}

func announcements(ctx context.Context, b *bed) error {
	return b.holdMany(ctx, 4, rig.Announcement(8<<20))
}

func idleConnections(ctx context.Context, b *bed) error {
	return b.holdMany(ctx, b.options.of(900), "")
}

func slowRequests(ctx context.Context, b *bed) error {
	return b.holdMany(ctx, b.options.of(300), rig.Announcement(1024))
}

// manyDigests writes the ledger as Revet does.
func manyDigests(ctx context.Context, b *bed) error {
	if err := b.hostile(ctx); err != nil {
		return err
	}
	t := trigger(hostileNamespace, "everything")
	if err := b.create(ctx, t); err != nil {
		return err
	}
	config, err := b.cluster.UserConfig("system:serviceaccount:"+systemNamespace+":controller", "system:serviceaccounts")
	if err != nil {
		return err
	}
	ledger, err := rig.NewClient(config)
	if err != nil {
		return err
	}
	stream, err := b.newStream(ctx, "app")
	if err != nil {
		return err
	}
	name := hostileNamespace + "/" + stream.Name
	r := v1alpha1.RepositoryReference{
		Kind: v1alpha1.RepositoryImageStream, Name: name, UID: string(stream.UID), Pull: "registry.example.com/" + name,
	}
	return inParallel(ctx, b.options.of(40_000), func(ctx context.Context, n int) error {
		entry, err := rig.NewEntry(t, r, rig.DigestOf(fmt.Sprintf("digest %d", n)), fmt.Sprintf("v%d", n), time.Now())
		if err != nil {
			return err
		}
		rig.Conclude(entry, v1alpha1.OutcomePass, time.Now())
		status := entry.Status
		if err := ledger.Create(ctx, entry); err != nil {
			return err
		}
		entry.Status = status
		return ledger.Status().Update(ctx, entry)
	})
}

// size is how large an object is as JSON.
func size(o any) int {
	encoded, err := json.Marshal(o)
	if err != nil {
		return 0
	}
	return len(encoded)
}

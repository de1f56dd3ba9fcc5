//go:build linux

package tenants

import (
	"context"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/test/rig"
)

// hazard is a case: what a hostile namespace does, and what of the victim is measured besides
// its pushes.
type hazard struct {
	// name is that of the case, with another mechanism after a dash.
	name string
	what string
	// attack returns once all is as hostile as it becomes. What goes on ends with the bed.
	attack func(context.Context, *bed) error
	// sweeps measures the time between two sweeps of a victim's registry, and starts how
	// long a receiver takes to be ready.
	sweeps, starts bool
}

func (h hazard) named(name string) bool {
	family, _, _ := strings.Cut(h.name, "-")
	return name == h.name || name == family
}

func names() (all []string) {
	for _, h := range hazards {
		all = append(all, h.name)
	}
	return all
}

// hazards are the cases, in the sizes at which they were found.
var hazards = []hazard{
	{name: "D1", what: "4,000 triggers of one namespace select all namespaces, with accounts that do not exist", attack: wideTriggers},
	{name: "D2", what: "one trigger of the largest size that is stored, for all namespaces", attack: storedSelectors},
	{name: "D2-allowed", what: "100 triggers of the largest size that counts, for all namespaces", attack: allowedSelectors},
	{name: "D3", what: "a trigger with maxConcurrent 1000 and 1,000 pushes, whose runs do not end", attack: oneTriggerTakesSlots},
	{name: "D3-triggers", what: "1,000 triggers with one run each, which does not end", attack: manyTriggersTakeSlots},
	{name: "D4", what: "five triggers on a registry that lists without end", attack: endlessLists(1), sweeps: true},
	{name: "D4-namespaces", what: "five such triggers in each of four namespaces", attack: endlessLists(4), sweeps: true},
	{name: "D5", what: "40,000 digests of one repository in the ledger", attack: manyDigests, starts: true},
	{name: "D9", what: "four connections announce 8 MiB and send a byte, again and again", attack: announcements},
	{name: "D9-idle", what: "900 connections that say nothing", attack: idleConnections},
	{name: "D9-requests", what: "300 requests whose bodies do not come", attack: slowRequests},
	{name: "D10", what: "one digest under 5,900 tags of 128 characters, told again and again", attack: manyTags},
}

// inOthers selects the streams of all namespaces.
func inOthers() *v1alpha1.ImageStreamSelector {
	return &v1alpha1.ImageStreamSelector{NamespaceSelector: &metav1.LabelSelector{}}
}

// hostile makes the hostile namespace.
func (b *bed) hostile(ctx context.Context) error { return b.team(ctx, hostileNamespace) }

func wideTriggers(ctx context.Context, b *bed) error {
	if err := b.hostile(ctx); err != nil {
		return err
	}
	return inParallel(ctx, b.options.of(4000), func(ctx context.Context, n int) error {
		t := trigger(hostileNamespace, fmt.Sprintf("wide-%04d", n))
		t.Spec.Images[0].ImageStreams = inOthers()
		t.Spec.ServiceAccountName = fmt.Sprintf("nobody-%04d", n)
		return b.admin.Create(ctx, t)
	})
}

// patterns are so many that match nothing, of a length and with so many wildcards.
func patterns(number, length, wildcards int) (all []string) {
	for n := range number {
		head := fmt.Sprintf("%s%d-", strings.Repeat("*a", wildcards), n)
		all = append(all, head+strings.Repeat("a", length-len(head)))
	}
	return all
}

// The lists of a selector hold 64 names of 253 bytes, and twice 64 tags of 128; a trigger has 32.
func storedSelectors(ctx context.Context, b *bed) error {
	if err := b.hostile(ctx); err != nil {
		return err
	}
	t := trigger(hostileNamespace, "large")
	t.Spec.Images = nil
	for range b.options.of(32) {
		streams := inOthers()
		streams.Names = append([]string{"*"}, patterns(63, 253, 60)...)
		t.Spec.Images = append(t.Spec.Images, v1alpha1.ImageSelector{
			ImageStreams: streams, Tags: v1alpha1.TagSelector{Include: patterns(64, 128, 60), Exclude: patterns(64, 128, 60)},
		})
	}
	return b.admin.Create(ctx, t)
}

// The bounds of package selector: 256 patterns, of 16 KiB and 16 wildcards.
func allowedSelectors(ctx context.Context, b *bed) error {
	if err := b.hostile(ctx); err != nil {
		return err
	}
	return inParallel(ctx, b.options.of(100), func(ctx context.Context, n int) error {
		t := trigger(hostileNamespace, fmt.Sprintf("large-%04d", n))
		t.Spec.Images = nil
		for range 4 {
			streams := inOthers()
			streams.Names = append([]string{"*"}, patterns(15, 63, 16)...)
			t.Spec.Images = append(t.Spec.Images, v1alpha1.ImageSelector{
				ImageStreams: streams, Tags: v1alpha1.TagSelector{Include: patterns(48, 63, 16)},
			})
		}
		return b.admin.Create(ctx, t)
	})
}

// fillSlots pushes so often, and returns once no more runs begin.
func (b *bed) fillSlots(ctx context.Context, streams, tags int) error {
	for n := range streams {
		if err := b.pushMany(ctx, fmt.Sprintf("app-%03d", n), tags); err != nil {
			return err
		}
	}
	last, since := -1, time.Now()
	return rig.Await(ctx, poll, 3*time.Minute, "no more runs begin", func() error {
		var runs metav1.PartialObjectMetadataList
		runs.SetGroupVersionKind(runList)
		if err := b.admin.List(ctx, &runs, client.InNamespace(hostileNamespace)); err != nil {
			return err
		}
		if n := len(runs.Items); n != last {
			last, since = n, time.Now()
		}
		if last == 0 || time.Since(since) < 5*time.Second {
			return fmt.Errorf("there are %d", last)
		}
		b.note("%d hostile runs hold slots", last)
		return nil
	})
}

func oneTriggerTakesSlots(ctx context.Context, b *bed) error {
	if err := b.hostile(ctx); err != nil {
		return err
	}
	t := trigger(hostileNamespace, "greedy")
	t.Spec.MaxConcurrent = 1000
	if err := b.create(ctx, t); err != nil {
		return err
	}
	if err := b.awaitReady(ctx, t); err != nil {
		return err
	}
	return b.fillSlots(ctx, b.options.of(40), 25)
}

func manyTriggersTakeSlots(ctx context.Context, b *bed) error {
	if err := b.hostile(ctx); err != nil {
		return err
	}
	if err := inParallel(ctx, b.options.of(1000), func(ctx context.Context, n int) error {
		t := trigger(hostileNamespace, fmt.Sprintf("greedy-%04d", n))
		t.Spec.MaxConcurrent = 1
		return b.admin.Create(ctx, t)
	}); err != nil {
		return err
	}
	return b.fillSlots(ctx, 1, 3)
}

// manyTags shows one digest under one tag after another; a stream holds some of them at a time.
func manyTags(ctx context.Context, b *bed) error {
	const each = 500
	if err := b.hostile(ctx); err != nil {
		return err
	}
	t := trigger(hostileNamespace, "everything")
	if err := b.create(ctx, t); err != nil {
		return err
	}
	stream, err := b.newStream(ctx, "tagged")
	if err != nil {
		return err
	}
	if _, err := b.show(ctx, stream, 0, "first"); err != nil {
		return err
	}
	round := func(ctx context.Context) error {
		for first := 0; first < b.options.of(5900); first += each {
			event := stream.Status.Tags[0].Items[0]
			event.Created = metav1.NewTime(time.Now().Truncate(time.Second))
			stream.Status.Tags = nil
			for n := range min(each, b.options.of(5900)-first) {
				tag := fmt.Sprintf("%0128d", first+n)
				item := *event.DeepCopy()
				stream.Status.Tags = append(stream.Status.Tags, tagged(tag, item))
			}
			if err := b.admin.Status().Update(ctx, stream); err != nil {
				return err
			}
			b.tellHostile(ctx, stream)
		}
		return nil
	}
	if err := round(ctx); err != nil {
		return err
	}
	var entries v1alpha1.ImageVerificationList
	if err := b.admin.List(ctx, &entries, client.InNamespace(hostileNamespace)); err != nil {
		return err
	}
	for i := range entries.Items {
		b.note("the hostile entry has %d tags, in %d bytes", len(entries.Items[i].Status.Tags), size(&entries.Items[i]))
	}
	b.goOn(ctx, round)
	return nil
}

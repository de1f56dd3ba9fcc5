//go:build linux

package tenants

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	imagev1 "github.com/openshift/api/image/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/test/rig"
)

const (
	// victimNamespace comes after hostileNamespace by name.
	victimNamespace  = "team-victim"
	hostileNamespace = "hostile"
	listener         = "scan-and-validate"
	runtimeClass     = "kata"
	// watchPatience is how long a push may take before the adapter is known to watch, and
	// watchTries how many are made.
	watchPatience = 2 * time.Second
	watchTries    = 15
	// warmUps is how many have their runs, before any is counted.
	warmUps = 5
	// between is between two pushes, so that what one leaves to do is not in the other's time.
	between = 100 * time.Millisecond
	// enough is after how many missed pushes no more are made.
	enough = 3
)

// victim is the tenant whose pushes are measured.
type victim struct {
	*bed
	stream        *imagev1.ImageStream
	entries, runs watch.Interface
	next          int
	// patience is how long a push may take.
	patience time.Duration
}

// times are what a number of pushes took, and how many did not come to it in time.
type times struct {
	Took   []time.Duration
	Missed int
}

// team makes a namespace with a listener, and what a trigger there needs to see its streams.
func (b *bed) team(ctx context.Context, namespace string) error {
	if err := b.create(ctx, rig.Team(namespace)...); err != nil {
		return err
	}
	if err := rig.Apply(ctx, b.admin, namespace, filepath.Join(b.options.Tree, "triggers", "100-*.yaml")); err != nil {
		return err
	}
	return b.startListener(ctx, namespace)
}

// trigger is one of a namespace, which selects its streams unless it is changed.
func trigger(namespace, name string) *v1alpha1.ImageTrigger {
	return &v1alpha1.ImageTrigger{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.ImageTriggerSpec{
			Images:    []v1alpha1.ImageSelector{{ImageStreams: &v1alpha1.ImageStreamSelector{}}},
			Sink:      v1alpha1.Sink{Ref: &v1alpha1.SinkRef{Name: listener}},
			Sandbox:   v1alpha1.Sandbox{RuntimeClassName: runtimeClass},
			Freshness: &metav1.Duration{}, MaxConcurrent: 100,
		},
	}
}

// newVictim returns once the victim's first pushes have had their runs.
func (b *bed) newVictim(ctx context.Context) (*victim, error) {
	v := &victim{bed: b, stream: &imagev1.ImageStream{ObjectMeta: metav1.ObjectMeta{Namespace: victimNamespace, Name: "app"}}}
	if err := b.team(ctx, victimNamespace); err != nil {
		return nil, err
	}
	everything := trigger(victimNamespace, "everything")
	if err := b.create(ctx, everything, v.stream); err != nil {
		return nil, err
	}
	if err := b.awaitReady(ctx, everything); err != nil {
		return nil, err
	}
	var entries v1alpha1.ImageVerificationList
	var err error
	if v.entries, err = b.admin.Watch(ctx, &entries, client.InNamespace(victimNamespace)); err != nil {
		return nil, err
	}
	b.later(v.entries.Stop)
	var runs metav1.PartialObjectMetadataList
	runs.SetGroupVersionKind(runList)
	if v.runs, err = b.admin.Watch(ctx, &runs, client.InNamespace(victimNamespace)); err != nil {
		return nil, err
	}
	b.later(v.runs.Stop)
	if err := b.startAdapter(ctx, victimNamespace); err != nil {
		return nil, err
	}
	return v, v.warmUp(ctx)
}

// warmUp makes pushes that are not counted, until some in a row had their runs: the adapter does
// not say when it watches, and the first sweep finds what it missed.
func (v *victim) warmUp(ctx context.Context) error {
	v.patience = watchPatience
	defer func() { v.patience = v.options.Patience }()
	row := 0
	for range watchTries {
		_, run, err := v.push(ctx)
		if err != nil {
			return err
		}
		if row++; run == 0 {
			row = 0
		}
		if row == warmUps {
			return nil
		}
	}
	return fmt.Errorf("the first pushes had no runs\n%s", v.tail())
}

func (b *bed) awaitReady(ctx context.Context, t *v1alpha1.ImageTrigger) error {
	return rig.Await(ctx, poll, startPatience, "the trigger of "+t.Namespace+" is ready", func() error {
		if err := b.admin.Get(ctx, client.ObjectKeyFromObject(t), t); err != nil {
			return err
		}
		if !t.IsReady() {
			return fmt.Errorf("it says %+v", meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionReady))
		}
		return nil
	})
}

// pushes makes some, one after another.
func (v *victim) pushes(ctx context.Context, number int) (recorded, ran times, err error) {
	for range number {
		record, run, err := v.push(ctx)
		if err != nil {
			return recorded, ran, err
		}
		recorded.add(record)
		if ran.add(run); max(recorded.Missed, ran.Missed) >= enough {
			break
		}
		<-time.After(between)
	}
	return recorded, ran, nil
}

// add counts what took no time as missed.
func (t *times) add(took time.Duration) {
	if took == 0 {
		t.Missed++
		return
	}
	t.Took = append(t.Took, took)
}

// push shows a new digest, and returns how long it took to be recorded and to have its run; 0 is
// not in time.
func (v *victim) push(ctx context.Context) (record, run time.Duration, err error) {
	digest, err := v.show(ctx, v.stream, v.next, fmt.Sprintf("v%d", v.next%20))
	if err != nil {
		return 0, 0, err
	}
	v.next++
	began := time.Now()
	if err := v.admin.Status().Update(ctx, v.stream); err != nil {
		return 0, 0, err
	}
	patience := time.NewTimer(v.patience)
	defer patience.Stop()
	for record == 0 || run == 0 {
		select {
		case event, open := <-v.entries.ResultChan():
			if !open {
				return record, run, errors.New("the watch of the ledger has ended")
			}
			if e, ok := event.Object.(*v1alpha1.ImageVerification); ok && record == 0 && e.Spec.Digest == digest {
				record = time.Since(began)
			}
		case event, open := <-v.runs.ResultChan():
			if !open {
				return record, run, errors.New("the watch of PipelineRuns has ended")
			}
			r, ok := event.Object.(*metav1.PartialObjectMetadata)
			if ok && run == 0 && r.Annotations[v1alpha1.DigestAnnotation] == digest {
				run = time.Since(began)
			}
		case <-patience.C:
			return record, run, nil
		}
	}
	return record, run, nil
}

// keptItems is how much of a tag's history is kept, as by pruning.
const keptItems = 3

// show makes an Image and puts it at the head of a tag of a stream, which the caller writes.
func (b *bed) show(ctx context.Context, stream *imagev1.ImageStream, n int, tag string) (digest string, err error) {
	digest = rig.DigestOf(fmt.Sprintf("%s/%s %d", stream.Namespace, stream.Name, n))
	reference := stream.Status.DockerImageRepository + "@" + digest
	if err := b.create(ctx, rig.NewImage(digest, reference)); err != nil {
		return "", err
	}
	event := imagev1.TagEvent{
		Created: metav1.NewTime(time.Now().Truncate(time.Second)), DockerImageReference: reference, Image: digest, Generation: 1,
	}
	tags := &stream.Status.Tags
	for i := range *tags {
		if (*tags)[i].Tag == tag {
			items := append([]imagev1.TagEvent{event}, (*tags)[i].Items...)
			(*tags)[i].Items = items[:min(len(items), keptItems)]
			return digest, nil
		}
	}
	*tags = append(*tags, imagev1.NamedTagEventList{Tag: tag, Items: []imagev1.TagEvent{event}})
	return digest, nil
}

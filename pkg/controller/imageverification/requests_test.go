package imageverification_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/controller/imageverification"
)

// requests counts what the API server is asked for.
type requests struct{ Gets, Lists, Writes, Facts int }

type countingReader struct {
	client.Reader
	*requests
}

func (c countingReader) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	c.Gets++
	return c.Reader.Get(ctx, key, o, opts...)
}

func (c countingReader) List(ctx context.Context, o client.ObjectList, opts ...client.ListOption) error {
	c.Lists++
	return c.Reader.List(ctx, o, opts...)
}

type countingLedger struct {
	imageverification.Ledger
	*requests
}

func (c countingLedger) UpdateStatus(ctx context.Context, e *v1alpha1.ImageVerification, mutate func(*v1alpha1.ImageVerificationStatus)) (*v1alpha1.ImageVerification, error) {
	c.Writes++
	return c.Ledger.UpdateStatus(ctx, e, mutate)
}

// Property: a push that meets no trouble costs the facts of its image, one write with its run, one look
// at the run that has ended and at its Pods, and one write with its verdict; the place that it had in the
// queue, and what its tags show, cost nothing.
func TestAPushCostsTheRequestsThatItNeeds(t *testing.T) {
	for name, change := range map[string]func(*v1alpha1.ImageTrigger){
		"by default":                      func(*v1alpha1.ImageTrigger) {},
		"under superseded: Skip":          func(tr *v1alpha1.ImageTrigger) { tr.Spec.Superseded = v1alpha1.SupersededSkip },
		"as the only one that may be run": func(tr *v1alpha1.ImageTrigger) { tr.Spec.MaxConcurrent = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, change)
			var got requests
			w.interpose = func(o *imageverification.Options) {
				o.Live, o.Ledger, o.Emitter = countingReader{o.Live, &got}, countingLedger{o.Ledger, &got}, nil
			}
			w.restart()
			key := w.push("v1", pushed)
			w.work(key, time.Second)
			w.finish(w.runName(key, 1), "pass", digest, "kata")
			w.work(key, time.Second)
			if e := w.entry(key); e.Status.Phase != v1alpha1.PhasePassed {
				t.Fatalf("entry is %s/%s", e.Status.Phase, e.Status.Reason)
			}
			got.Facts = w.facts.reads
			if diff := cmp.Diff(requests{Gets: 1, Lists: 1, Writes: 2, Facts: 1}, got); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

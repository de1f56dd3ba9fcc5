package lease

import (
	"context"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	knative "knative.dev/pkg/controller"
	"knative.dev/pkg/hash"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/kube"
	"github.com/revet-dev/revet/pkg/ledger"
)

// Property: a process writes no status of what it does not lead, also if nobody
// wrote it since it was read, and comes back to it.
func TestStatusesAreWrittenUnderTheLease(t *testing.T) {
	scheme, err := kube.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	at := metav1.ObjectMeta{Namespace: "demo", Name: "x"}
	trigger := &v1alpha1.ImageTrigger{ObjectMeta: at}
	entry := &v1alpha1.ImageVerification{ObjectMeta: at}
	fakes := fake.NewClientBuilder().WithScheme(scheme).WithObjects(trigger, entry).WithStatusSubresource(trigger, entry).Build()
	c := interceptor.NewClient(fakes, interceptor.Funcs{
		SubResourceUpdate: func(ctx context.Context, c client.Client, of string, o client.Object, opts ...client.SubResourceUpdateOption) error {
			if _, bounded := ctx.Deadline(); !bounded {
				t.Errorf("the write of %T may last longer than the lease", o)
			}
			return c.SubResource(of).Update(ctx, o, opts...)
		},
	})
	l := New("me", use)
	g := &Guard{leases: l, buckets: hash.NewBucketSet(sets.New("bucket"))}
	writes := map[string]func() error{
		"an entry": func() error {
			var e v1alpha1.ImageVerification
			if err := c.Get(t.Context(), client.ObjectKeyFromObject(entry), &e); err != nil {
				return err
			}
			_, err := ledger.New(Client{c, g}, ledger.NewIndex(time.Now)).UpdateStatus(t.Context(), &e,
				func(s *v1alpha1.ImageVerificationStatus) { s.Message = "written" })
			return err
		},
		"a trigger": func() error {
			var tr v1alpha1.ImageTrigger
			if err := c.Get(t.Context(), client.ObjectKeyFromObject(trigger), &tr); err != nil {
				return err
			}
			tr.Status.SinkURI = "written"
			return Client{c, g}.Status().Update(t.Context(), &tr)
		},
	}
	for what, write := range writes {
		l.saw("bucket", "another")
		if err := write(); err == nil {
			t.Errorf("%s was written without the lease", what)
		} else if again, after := knative.IsRequeueKey(err); !again || after != writeRetry {
			t.Errorf("%s: %v; want it to be tried again after %v", what, err, writeRetry)
		}
		l.extend("bucket", time.Now(), 15*time.Second)
		if err := write(); err != nil {
			t.Errorf("%s was not written under the lease: %v", what, err)
		}
	}
}

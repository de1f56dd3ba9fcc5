package get

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/commandtest"
)

// The table says where each entry stands with signed verdicts.
func TestGetAttested(t *testing.T) {
	for golden, args := range map[string][]string{"attested.txt": {"get"}, "attested-wide.txt": {"get", "-o", "wide"}} {
		_, connect := commandtest.Writable(t, interceptor.Funcs{}, commandtest.AttestedObjects()...)
		r := commandtest.Run(New, "", connect, args...)
		if r.Status != 0 || r.ErrOut != "" {
			t.Fatalf("status %d: %s", r.Status, r.ErrOut)
		}
		commandtest.Golden(t, golden, r.Out)
	}
}

// What decides and may not be read makes the word NotKnown, for whatever has no statement; the
// table is printed all the same.
func TestGetWithoutTheRightToKnow(t *testing.T) {
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "things"}, "", nil)
	for name, test := range map[string]struct {
		hooks interceptor.Funcs
		want  map[string]string
	}{
		"the operator's list": {interceptor.Funcs{Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if _, ok := o.(*corev1.ConfigMap); ok {
				return forbidden
			}
			return c.Get(ctx, key, o, opts...)
		}}, map[string]string{"published": "Published", "awaited": "NotKnown", "unlisted": "NotKnown", "failed": "-", "unasked": "-", "notremoved": "NotRemoved"}},
		"the triggers": {interceptor.Funcs{List: func(ctx context.Context, c client.WithWatch, l client.ObjectList, opts ...client.ListOption) error {
			if _, ok := l.(*v1alpha1.ImageTriggerList); ok {
				return forbidden
			}
			return c.List(ctx, l, opts...)
		}}, map[string]string{"published": "Published", "awaited": "NotKnown", "failed": "NotKnown", "unasked": "NotKnown", "notremoved": "NotRemoved"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, connect := commandtest.Writable(t, test.hooks, commandtest.AttestedObjects()...)
			r := commandtest.Run(New, "", connect, "get")
			if r.Status != 0 || r.ErrOut != "" {
				t.Fatalf("status %d: %s", r.Status, r.ErrOut)
			}
			for entry, want := range test.want {
				if got := cell(r.Out, entry); got != want {
					t.Errorf("%s is %q, want %q:\n%s", entry, got, want, r.Out)
				}
			}
		})
	}
}

// cell returns the first word of the column ATTESTED in an entry's line.
func cell(table, entry string) string {
	lines := strings.Split(table, "\n")
	at := strings.Index(lines[0], "ATTESTED")
	for _, line := range lines {
		if strings.HasPrefix(line, entry+" ") {
			return strings.Fields(line[at:])[0]
		}
	}
	return ""
}

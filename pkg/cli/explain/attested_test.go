package explain

import (
	"context"
	"strings"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/revet-dev/revet/pkg/cli/commandtest"
)

// section returns what explain says of signed verdicts.
func section(t *testing.T, connect commandtest.Connect, name string) string {
	t.Helper()
	r := commandtest.Run(New, "", connect, "explain", name)
	if r.Status != 0 || r.ErrOut != "" {
		t.Fatalf("status %d: %s", r.Status, r.ErrOut)
	}
	_, text, ok := strings.Cut(r.Out, "\nSigned verdicts\n")
	if !ok {
		return ""
	}
	text, _, _ = strings.Cut(text, "\n\n")
	return text + "\n"
}

// Explain shows each statement with its time and its cure, and why there is none.
func TestExplainAttested(t *testing.T) {
	_, connect := commandtest.Writable(t, interceptor.Funcs{}, commandtest.AttestedObjects()...)
	var all strings.Builder
	for _, name := range []string{"published", "pending", "notpublished", "notremoved", "replaced", "awaited", "failed", "unlisted"} {
		all.WriteString(name + "\n" + section(t, connect, name))
	}
	commandtest.Golden(t, "attested.txt", all.String())
	if text := section(t, connect, "unasked"); text != "" {
		t.Errorf("of an entry for which nobody asks, it says %s", text)
	}
	r := commandtest.Run(New, "", connect, "explain", "replaced", "-o", "yaml")
	commandtest.Golden(t, "attested.yaml", r.Out)
}

// Whoever may not read what decides is told so.
func TestExplainWithoutTheRightToKnow(t *testing.T) {
	for name, test := range map[string]struct {
		hidden func(client.Object) bool
		want   map[string]string
	}{
		"the operator's list": {func(o client.Object) bool { _, ok := o.(*corev1.ConfigMap); return ok }, map[string]string{
			"unlisted": "NotKnown: the trigger asks for it, and whether the operator lists the trigger is not known: you may not read the ConfigMap config-attestation in namespace revet-system",
			"failed":   "NotPassed: only a pass is signed",
		}},
		"the attestor's report": {func(o client.Object) bool { _, ok := o.(*coordinationv1.Lease); return ok }, map[string]string{
			"awaited":  "NotKnown: whether an attestor has a key is not known: you may not read the Lease attestor.report in namespace revet-system",
			"unlisted": "NotTrusted: ",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			_, connect := commandtest.Writable(t, interceptor.Funcs{
				Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
					if test.hidden(o) {
						return apierrors.NewForbidden(schema.GroupResource{Resource: "things"}, key.Name, nil)
					}
					return c.Get(ctx, key, o, opts...)
				},
			}, commandtest.AttestedObjects()...)
			for entry, want := range test.want {
				if got := section(t, connect, entry); !strings.Contains(got, "  Not signed   "+want) {
					t.Errorf("of %s it says %s, want %s", entry, got, want)
				}
			}
		})
	}
}

package imageverification_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/controller/imageverification"
)

// Property: entries are written as they are cached, so what the cache does to
// them may change nothing but managedFields.
func TestInternStringsKeepsEverything(t *testing.T) {
	w := newWorld(t)
	key := w.push("v1", pushed)
	w.work(key, time.Second)
	w.finish(w.runName(key, 1), "pass", digest, "kata")
	w.work(key, time.Second)
	e := w.entry(key)
	e.Labels = map[string]string{"a": "b", "c": "d"}
	want := e.DeepCopy()
	e.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "m"}}
	got, err := imageverification.InternStrings(e)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("changed (-want +got):\n%s", diff)
	}
	if got, err := imageverification.InternStrings(&v1alpha1.ImageVerification{}); err != nil || got == nil {
		t.Errorf("the empty entry became %v, %v", got, err)
	}
	if got, err := imageverification.InternStrings(w.trigger); err != nil || got != any(w.trigger) {
		t.Errorf("another object became %v, %v", got, err)
	}
}

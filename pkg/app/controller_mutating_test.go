package app

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
)

// Property: the best version is found that serves the kind, a version without it is none, and
// an API server that does not answer is not taken for one that serves none.
func TestTheVersionOfMutatingPoliciesIsFound(t *testing.T) {
	const validating, mutating = "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicy MutatingAdmissionPolicy"
	for _, test := range []struct {
		name        string
		v1, v1beta1 string // the kinds; empty if the version is not served
		status      int
		want        string
		fails       bool
	}{
		{name: "none", v1: validating, want: ""},
		{name: "an old one", v1: validating, v1beta1: mutating, want: "v1beta1"},
		{name: "both", v1: mutating, v1beta1: mutating, want: "v1"},
		{name: "only the new one", v1: mutating, want: "v1"},
		{name: "it does not answer", status: http.StatusInternalServerError, fails: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				version := strings.TrimPrefix(r.URL.Path, "/apis/admissionregistration.k8s.io/")
				kinds := map[string]string{"v1": test.v1, "v1beta1": test.v1beta1}[version]
				w.Header().Set("Content-Type", "application/json")
				switch {
				case test.status != 0:
					w.WriteHeader(test.status)
				case kinds == "":
					w.WriteHeader(http.StatusNotFound)
				default:
					list := metav1.APIResourceList{GroupVersion: "admissionregistration.k8s.io/" + version}
					for _, kind := range strings.Fields(kinds) {
						list.APIResources = append(list.APIResources, metav1.APIResource{Name: strings.ToLower(kind), Kind: kind})
					}
					if err := json.NewEncoder(w).Encode(&list); err != nil {
						t.Error(err)
					}
				}
			}))
			defer server.Close()
			d, err := discovery.NewDiscoveryClientForConfig(&rest.Config{Host: server.URL})
			if err != nil {
				t.Fatal(err)
			}
			got, err := servedMutating(d)
			if got != test.want || (err != nil) != test.fails {
				t.Errorf("the version is %q, with error %v; want %q", got, err, test.want)
			}
		})
	}
}

// Property: a controller that runs follows the version that the cluster serves. A new version
// is watched before it is used and the old one until then, and a lookup or a watch that fails
// changes nothing.
func TestTheVersionOfMutatingPoliciesIsFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var did []string
		served, broken, deaf := "", error(nil), error(nil)
		m := &mutatingPolicies{log: zap.NewNop(), again: make(chan struct{}, 1)}
		m.find = func() (string, error) { return served, broken }
		m.watch = func(_ context.Context, v string) error {
			did = append(did, "watch "+v+" beside "+m.version())
			return deaf
		}
		m.unwatch = func(_ context.Context, v string) { did = append(did, "unwatch "+v) }
		m.changed = func() { did = append(did, "use "+m.version()) }
		m.start()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- m.run(ctx) }()
		after := func(what string, wait time.Duration, want ...string) {
			t.Helper()
			time.Sleep(wait)
			synctest.Wait()
			if diff := cmp.Diff(want, did); diff != "" {
				t.Errorf("%s (-want +got):\n%s", what, diff)
			}
			did = nil
		}
		after("nothing is served", mutatingInterval+time.Second)
		served = "v1beta1"
		after("the cluster is upgraded", mutatingInterval, "watch v1beta1 beside ", "use v1beta1")
		served, broken = "", errors.New("it broke")
		after("the lookup fails", mutatingInterval)
		served, broken, deaf = "v1", nil, errors.New("it broke")
		after("the watch fails", mutatingGap, "watch v1 beside v1beta1", "unwatch v1")
		deaf = nil
		after("it works", mutatingGap, "watch v1 beside v1beta1", "use v1", "unwatch v1beta1")
		served = ""
		after("nothing asks", time.Minute)
		m.lookAgain()
		after("something asks", mutatingGap, "use ", "unwatch v1")
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

package verify

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/commandtest"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/ledger"
)

const (
	nginx   = "docker.io/library/nginx"
	request = "jane-20261121T120000Z-x7k2q9"
)

// registries are those that the operator lists.
func registries(hosts ...string) *corev1.ConfigMap {
	var list strings.Builder
	for i, host := range hosts {
		fmt.Fprintf(&list, "- {name: r%d, host: %q, namespaces: [demo]}\n", i, host)
	}
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "revet-system", Name: "config-registries"},
		Data:       map[string]string{"registries.yaml": list.String()},
	}
}

// third is the trigger by which third parties' images are verified. It selects none of them.
func third() *v1alpha1.ImageTrigger {
	t := commandtest.TriggerOf("demo", "third", "")
	t.Spec.Images = []v1alpha1.ImageSelector{{ImageStreams: &v1alpha1.ImageStreamSelector{}}}
	return t
}

func manual(t *testing.T, id string) *v1alpha1.ImageVerification {
	t.Helper()
	ref, err := image.ParseReference(nginx + "@" + commandtest.DigestA)
	if err != nil {
		t.Fatal(err)
	}
	return ledger.NewManual(third(), ref, "1.27", id, commandtest.Now)
}

func entriesOf(t *testing.T, c client.Client) []v1alpha1.ImageVerification {
	t.Helper()
	var l v1alpha1.ImageVerificationList
	if err := c.List(t.Context(), &l); err != nil {
		t.Fatal(err)
	}
	return l.Items
}

// What is recorded is what the ledger makes of the digest, with one request; the command
// says what the trigger's selectors and filter mean for it.
func TestVerifyRecordsADigest(t *testing.T) {
	filtered := third()
	filtered.Spec.Filter = "image.size > 1"
	c, connect := commandtest.Writable(t, interceptor.Funcs{}, filtered, registries("docker.io"))
	r := commandtest.Run(New, "", connect, "verify", "nginx:1.27@"+commandtest.DigestA)
	want := manual(t, request)
	out := "Recorded " + nginx + "@" + commandtest.DigestA + " for ImageTrigger third, as ImageVerification " + want.Name + ", request " + request + ".\n"
	errOut := "ImageTrigger third has a filter, which decides about pushes; this digest runs whatever the filter says.\n" +
		"ImageTrigger third does not select " + nginx + ": what is pushed there later is not verified by itself.\n" +
		"Follow with: kubectl revet explain " + want.Name + " -n demo\n"
	if diff := cmp.Diff(commandtest.Result{Status: 0, Out: out, ErrOut: errOut}, r); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
	got := entriesOf(t, c)
	if len(got) != 1 {
		t.Fatalf("there are %d entries, want 1", len(got))
	}
	if diff := cmp.Diff(want.Spec, got[0].Spec); diff != "" || got[0].Name != want.Name || !cmp.Equal(got[0].Labels, want.Labels) {
		t.Errorf("entry %s, labels %v, spec (-want +got):\n%s", got[0].Name, got[0].Labels, diff)
	}
}

// A digest that the ledger has is asked for once more, whether a person or a push brought
// it, and whoever shows it.
func TestVerifyAsksAgainForWhatTheLedgerHas(t *testing.T) {
	stream := commandtest.Entry("app-1", "demo/app", commandtest.DigestA, commandtest.Record("v1", time.Hour, time.Second, v1alpha1.SourceEvent))
	for name, test := range map[string]struct {
		have *v1alpha1.ImageVerification
		arg  string
		want []string
	}{
		"recorded by hand":         {manual(t, "earlier"), nginx + "@" + commandtest.DigestA, []string{"earlier", request}},
		"pushed to an ImageStream": {&stream, commandtest.RegistryHost + "/demo/app@" + commandtest.DigestA, []string{request}},
	} {
		t.Run(name, func(t *testing.T) {
			c, connect := commandtest.Writable(t, interceptor.Funcs{}, third(), test.have)
			r := commandtest.Run(New, "", connect, "verify", test.arg)
			got := entriesOf(t, c)
			if r.Status != 0 || !strings.Contains(r.Out, "in phase Pending: asked for another run, request "+request) || len(got) != 1 {
				t.Fatalf("status %d, %s%s; %d entries", r.Status, r.Out, r.ErrOut, len(got))
			}
			if diff := cmp.Diff(test.want, got[0].Spec.Requests); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

// Two people at once make one entry with two requests.
func TestVerifyLosesARace(t *testing.T) {
	raced := false
	hooks := interceptor.Funcs{Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
		if !raced {
			raced = true
			if err := c.Create(ctx, manual(t, "another")); err != nil {
				return err
			}
		}
		return c.Create(ctx, o, opts...)
	}}
	c, connect := commandtest.Writable(t, hooks, third(), registries("docker.io"))
	if r := commandtest.Run(New, "", connect, "verify", "nginx@"+commandtest.DigestA); r.Status != 0 {
		t.Fatalf("status %d: %s", r.Status, r.ErrOut)
	}
	if got := entriesOf(t, c); len(got) != 1 || !cmp.Equal(got[0].Spec.Requests, []string{"another", request}) {
		t.Errorf("the ledger is %+v", got)
	}
}

func forbidden(resource, name string) error {
	return apierrors.NewForbidden(schema.GroupResource{Group: v1alpha1.GroupVersion.Group, Resource: resource}, name, errors.New("no RBAC policy matched"))
}

// What cannot be done changes nothing, is no verdict, and names its cure.
func TestVerifyRefuses(t *testing.T) {
	squatter := manual(t, "x")
	squatter.Spec.Digest = commandtest.DigestB
	pushed := commandtest.Entry("nginx-1", "demo/nginx", commandtest.DigestB, commandtest.Record("1.27", time.Hour, time.Second, v1alpha1.SourceWebhook))
	pushed.Spec.Repository = v1alpha1.RepositoryReference{Kind: v1alpha1.RepositoryRegistry, Name: nginx, Pull: nginx}
	other := commandtest.TriggerOf("demo", "prod", "another")
	const good = "nginx@" + commandtest.DigestA
	for _, test := range []struct {
		name    string
		objects []client.Object
		hooks   interceptor.Funcs
		args    []string
		want    string
	}{
		{"a tag", []client.Object{third()}, interceptor.Funcs{}, []string{"nginx:1.27"},
			nginx + " names no digest, and a tag may stand for another one tomorrow; get its digest with: crane digest " + nginx + ":1.27 (or skopeo inspect), and write " + nginx + "@sha256:DIGEST"},
		{"no tag", []client.Object{third()}, interceptor.Funcs{}, []string{"nginx"}, "crane digest " + nginx + ":latest"},
		{"a tag that the ledger knows", []client.Object{third(), &pushed}, interceptor.Funcs{}, []string{"nginx:1.27"},
			"the newest push of this tag that the ledger has is " + commandtest.DigestB},
		{"a digest that is none", nil, interceptor.Funcs{}, []string{"nginx@sha256:00"}, "has a digest other than @sha256: and 64 hexadecimal digits"},
		{"a tag that is none", nil, interceptor.Funcs{}, []string{"nginx:a b@" + commandtest.DigestA}, "is no valid name of an image"},
		{"a name that is none", nil, interceptor.Funcs{}, []string{"Nginx@" + commandtest.DigestA}, "is no valid name of an image; write host/path:tag in lower case"},
		{"no trigger", nil, interceptor.Funcs{}, []string{good}, `there is no ImageTrigger in namespace "demo", which says what verifies an image; create one`},
		{"several triggers", []client.Object{third(), other}, interceptor.Funcs{}, []string{good}, `there are 2 ImageTriggers in namespace "demo"; name one with --trigger: prod, third`},
		{"no such trigger", []client.Object{third()}, interceptor.Funcs{}, []string{good, "--trigger", "fourth"}, `there is no ImageTrigger "fourth" in namespace "demo"; list them with`},
		{"a registry that the operator does not list", []client.Object{third(), registries("quay.io", "mirror.example.com")}, interceptor.Funcs{}, []string{good},
			`does not list the registry docker.io for namespace "demo", so that Revet may not read it; let the operator add it to the ConfigMap config-registries in namespace revet-system, ` +
				"and auth.docker.io, which gives the tokens for it; or name the same digest where one of these has it, as a gate goes by the digest alone: quay.io, mirror.example.com"},
		{"a list that is broken", []client.Object{third(), &corev1.ConfigMap{ObjectMeta: registries().ObjectMeta, Data: map[string]string{"registries.yaml": "{"}}}, interceptor.Funcs{},
			[]string{good}, `ConfigMap "config-registries" in namespace "revet-system": expected a list`},
		{"an entry in its place", []client.Object{third(), squatter, registries("docker.io")}, interceptor.Funcs{}, []string{good},
			"has the name of this digest's entry and is another; find out who created it, and delete it: kubectl delete imageverification " + squatter.Name + " -n demo"},
		{"no right to create", []client.Object{third(), registries("docker.io")}, interceptor.Funcs{Create: func(context.Context, client.WithWatch, client.Object, ...client.CreateOption) error {
			return forbidden("imageverifications", "nginx")
		}}, []string{good}, "kubectl create rolebinding replay -n demo --clusterrole=revet-replay --user=NAME"},
		{"no right to list triggers", []client.Object{third()}, interceptor.Funcs{List: func(ctx context.Context, c client.WithWatch, l client.ObjectList, opts ...client.ListOption) error {
			return forbidden("imagetriggers", "")
		}}, []string{good}, "name one with --trigger"},
		{"no time", nil, interceptor.Funcs{}, []string{good, "--timeout", "0s"}, "--timeout is 0s; it must be positive"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, connect := commandtest.Writable(t, test.hooks, test.objects...)
			r := commandtest.Run(New, "", connect, append([]string{"verify"}, test.args...)...)
			if r.Status != 2 || r.Out != "" || !strings.Contains(r.ErrOut, test.want) {
				t.Errorf("status %d, output %q, errors %q; want status 2 and %q", r.Status, r.Out, r.ErrOut, test.want)
			}
			if test.hooks.List != nil {
				return
			}
			for _, e := range entriesOf(t, c) {
				if len(e.Spec.Requests) > 1 || e.Name == manual(t, "").Name && e.Name != squatter.Name {
					t.Errorf("the ledger has %+v", e)
				}
			}
		})
	}
}

// Who may not read the operator's list is told what an unlisted registry leads to.
func TestVerifyWithoutTheListOfRegistries(t *testing.T) {
	hooks := interceptor.Funcs{Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
		if _, ok := o.(*corev1.ConfigMap); ok {
			return forbidden("configmaps", key.Name)
		}
		return c.Get(ctx, key, o, opts...)
	}}
	c, connect := commandtest.Writable(t, hooks, third())
	r := commandtest.Run(New, "", connect, "verify", "nginx@"+commandtest.DigestA)
	if r.Status != 0 || !strings.Contains(r.ErrOut, "it is not known whether Revet may read docker.io. If it may not, the entry waits with the reason RegistryNotAllowed.") || len(entriesOf(t, c)) != 1 {
		t.Errorf("status %d, %s%s", r.Status, r.Out, r.ErrOut)
	}
}

// With --wait, the exit status is that of the verdict that answers the request, and no
// earlier one.
func TestVerifyWaits(t *testing.T) {
	ended := func(phase v1alpha1.Phase, reason, message string) func(*v1alpha1.ImageVerification) {
		return func(e *v1alpha1.ImageVerification) {
			e.Status.Phase, e.Status.Reason, e.Status.Message = phase, reason, message
			e.Status.HandledRequests = []string{request}
		}
	}
	waiting := func(e *v1alpha1.ImageVerification) {
		e.Status.Phase, e.Status.Reason, e.Status.Message = v1alpha1.PhasePending, "Queued", "all 10 runs are under way"
	}
	running := func(e *v1alpha1.ImageVerification) {
		ended(v1alpha1.PhaseRunning, "Running", "")(e)
		e.Status.Runs = []v1alpha1.RunStatus{{Number: 1, Name: "nginx-run"}}
	}
	over := func(phase v1alpha1.Phase, reason, message string) func(*v1alpha1.ImageVerification) {
		return func(e *v1alpha1.ImageVerification) {
			ended(phase, reason, message)(e)
			if len(e.Status.Runs) > 0 {
				e.Status.Runs[0].Outcome = v1alpha1.OutcomePass
			}
		}
	}
	retried := func(e *v1alpha1.ImageVerification) {
		over(v1alpha1.PhasePending, "RetryScheduled", "the registry did not answer")(e)
	}
	earlier := manual(t, "earlier")
	earlier.Status = v1alpha1.ImageVerificationStatus{Phase: v1alpha1.PhaseFailed, Reason: "Failed", HandledRequests: []string{"earlier"}}
	for _, test := range []struct {
		name   string
		have   []client.Object
		steps  []func(*v1alpha1.ImageVerification)
		status int
		want   []string
	}{
		{"a pass", nil, []func(*v1alpha1.ImageVerification){waiting, running, over(v1alpha1.PhasePassed, "Passed", "")}, 0,
			[]string{"Pending\nPending: Queued: all 10 runs are under way\nRunning\n", "Passed\n"}},
		{"a failure", nil, []func(*v1alpha1.ImageVerification){running, over(v1alpha1.PhaseFailed, "Failed", "2 rules did not hold")}, 1,
			[]string{"error: Failed: 2 rules did not hold; see: kubectl revet explain nginx-"}},
		{"an error, once no retry is left", nil, []func(*v1alpha1.ImageVerification){running, retried, over(v1alpha1.PhaseError, "Vanished", "it was deleted")}, 2,
			[]string{"RetryScheduled", "error: there is no verdict: Error: Vanished: it was deleted; cure: keep finished PipelineRuns"}},
		{"an entry that ends without a run", nil, []func(*v1alpha1.ImageVerification){ended(v1alpha1.PhaseSkipped, "TriggerDeleted", "gone")}, 2,
			[]string{"error: there is no verdict: Skipped: TriggerDeleted: gone; see: kubectl revet explain"}},
		{"not the verdict before", []client.Object{earlier}, []func(*v1alpha1.ImageVerification){func(*v1alpha1.ImageVerification) {}, running, over(v1alpha1.PhasePassed, "Passed", "")}, 0,
			[]string{"Failed\nRunning\n"}},
		{"a registry that is not listed", nil, []func(*v1alpha1.ImageVerification){func(e *v1alpha1.ImageVerification) {
			e.Status.Phase, e.Status.Reason, e.Status.Message = v1alpha1.PhasePending, "RegistryNotAllowed", "not listed"
		}}, 2, []string{"there is no verdict of nginx-", "yet, which is: Pending: RegistryNotAllowed: not listed; it goes on: kubectl revet explain nginx-"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, connect := commandtest.Writable(t, interceptor.Funcs{}, append(test.have, third(), registries("docker.io"))...)
				key := client.ObjectKeyFromObject(manual(t, ""))
				go func() {
					for _, step := range test.steps {
						time.Sleep(readEvery * 3 / 2)
						var e v1alpha1.ImageVerification
						if err := c.Get(t.Context(), key, &e); err != nil {
							t.Error(err)
							return
						}
						step(&e)
						if err := c.Update(t.Context(), &e); err != nil {
							t.Error(err)
						}
					}
				}()
				r := commandtest.Run(New, "", connect, "verify", "nginx:1.27@"+commandtest.DigestA, "--wait", "--timeout", "1m")
				for _, want := range test.want {
					if r.Status != test.status || !strings.Contains(r.ErrOut+r.Out, want) {
						t.Errorf("status %d, errors %q, output %q; want status %d and %q", r.Status, r.ErrOut, r.Out, test.status, want)
					}
				}
			})
		})
	}
}

// An entry that somebody deletes has no verdict; one that cannot be read for a moment may.
func TestVerifyWaitsThroughTroubleButNotForNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reads := 0
		hooks := interceptor.Funcs{Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			e, ok := o.(*v1alpha1.ImageVerification)
			if !ok {
				return c.Get(ctx, key, o, opts...)
			}
			if reads++; reads == 1 {
				return errors.New("connection refused")
			}
			if err := c.Get(ctx, key, e, opts...); err != nil {
				return err
			}
			return c.Delete(ctx, e)
		}}
		_, connect := commandtest.Writable(t, hooks, third(), registries("docker.io"))
		r := commandtest.Run(New, "", connect, "verify", "nginx@"+commandtest.DigestA, "--wait")
		if r.Status != 2 || !strings.Contains(r.ErrOut, "could not be read: connection refused\nPending\nerror: there is no verdict: somebody deleted ImageVerification") {
			t.Errorf("status %d, %s", r.Status, r.ErrOut)
		}
	})
}

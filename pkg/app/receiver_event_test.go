package app

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	imagev1 "github.com/openshift/api/image/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/config"
)

// Every push that the API server shows is recorded before the answer is 202,
// in whichever form its event came.
func TestReceiverRecordsEventsOfEveryForm(t *testing.T) {
	web := streamOf("web", map[string][]int{"prod": {1}})
	app := streamOf("app", map[string][]int{"prod": {2}})
	reference := map[string]string{"apiVersion": "image.openshift.io/v1", "kind": "ImageStream", "namespace": "shop", "name": "web"}
	withContentType := attributes(web, updated)
	delete(withContentType, "kind") // as a Broker's filter may send it on
	for _, test := range []struct {
		name    string
		request func(t *testing.T) *http.Request
		want    []string
	}{
		{"binary", func(t *testing.T) *http.Request { return update(t, web) }, []string{"vet shop/web:prod@1"}},
		{"binary, of unknown length", func(t *testing.T) *http.Request { return chunked(update(t, web)) }, []string{"vet shop/web:prod@1"}},
		{"binary, without content type", func(t *testing.T) *http.Request { return binary(t, attributes(web, updated), "", asJSON(web)) }, []string{"vet shop/web:prod@1"}},
		{"binary, with a character set", func(t *testing.T) *http.Request {
			return binary(t, attributes(web, updated), "application/json; charset=utf-8", asJSON(web))
		}, []string{"vet shop/web:prod@1"}},
		{"binary, without the kind as an attribute", func(t *testing.T) *http.Request { return binary(t, withContentType, "application/json", asJSON(web)) }, []string{"vet shop/web:prod@1"}},
		{"binary, added", func(t *testing.T) *http.Request {
			return binary(t, attributes(web, "dev.knative.apiserver.resource.add"), "application/json", asJSON(web))
		}, []string{"vet shop/web:prod@1"}},
		{"binary, in Reference mode", func(t *testing.T) *http.Request {
			return binary(t, attributes(web, "dev.knative.apiserver.ref.update"), "application/json", asJSON(reference))
		}, []string{"vet shop/web:prod@1"}},
		{"structured", func(t *testing.T) *http.Request {
			return post(t, "/", "application/cloudevents+json; charset=utf-8", structured(attributes(web, updated), web))
		}, []string{"vet shop/web:prod@1"}},
		{"batched, of two", func(t *testing.T) *http.Request {
			return post(t, "/", "application/cloudevents-batch+json", asJSON([]json.RawMessage{structured(attributes(web, updated), web), structured(attributes(app, updated), app)}))
		}, []string{"vet shop/app:prod@2", "vet shop/web:prod@1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newCell(t, triggerNamed("shop", "vet"), web.DeepCopy(), app.DeepCopy())
			if code, body := send(t, c.receiver(), test.request(t)); code != http.StatusAccepted {
				t.Errorf("answered %d %s, want 202", code, body)
			}
			if diff := cmp.Diff(test.want, c.pushes()); diff != "" {
				t.Errorf("ledger (-want +got):\n%s", diff)
			}
		})
	}
}

// What is not an event of a push is refused with its cause, or passed over, and
// never recorded.
func TestReceiverRefusesOrPassesOver(t *testing.T) {
	web := streamOf("web", map[string][]int{"prod": {1}})
	event := func(eventType string) map[string]string { return attributes(web, eventType) }
	without := func(name string) map[string]string { a := event(updated); delete(a, name); return a }
	with := func(name, value string) map[string]string { a := event(updated); a[name] = value; return a }
	pod := with("kind", "Pod")
	pod["apiversion"], pod["subject"] = "v1", "/apis/v1/namespaces/shop/pods/web"
	image := map[string]string{"specversion": "1.0", "id": "1", "source": "s", "type": updated, "apiversion": "image.openshift.io/v1", "kind": "Image", "name": digestOf(1)}
	huge := asJSON(map[string]string{"kind": "ImageStream", "padding": strings.Repeat("x", 9<<20)})
	for _, test := range []struct {
		name    string
		request func(t *testing.T) *http.Request
		want    int
		cause   string
	}{
		{"an empty body", func(t *testing.T) *http.Request { return binary(t, event(updated), "application/json", nil) }, 400, "no data"},
		{"a truncated object", func(t *testing.T) *http.Request {
			return binary(t, event(updated), "application/json", asJSON(web)[:200])
		}, 400, "Malformed"},
		{"a body that ends before its length", func(t *testing.T) *http.Request {
			r := update(t, web)
			r.ContentLength += 10
			return r
		}, 400, "ended early"},
		{"9 MiB", func(t *testing.T) *http.Request { return binary(t, event(updated), "application/json", huge) }, 413, "larger than 8388608"},
		{"9 MiB of unknown length", func(t *testing.T) *http.Request { return chunked(binary(t, event(updated), "application/json", huge)) }, 413, "larger than 8388608"},
		{"9 MiB, structured", func(t *testing.T) *http.Request { return post(t, "/", "application/cloudevents+json", huge) }, 413, "larger than 8388608"},
		{"a wrong content type", func(t *testing.T) *http.Request { return post(t, "/", "text/plain", asJSON(web)) }, 415, `"text/plain"`},
		{"a known event of a wrong content type", func(t *testing.T) *http.Request {
			return binary(t, event(updated), "application/xml", asJSON(web))
		}, 415, `"application/xml"`},
		{"a CloudEvent in a format that is not JSON", func(t *testing.T) *http.Request { return post(t, "/", "application/cloudevents+avro", nil) }, 415, "cloudevents+avro"},
		{"a content type that is none", func(t *testing.T) *http.Request { return post(t, "/", ";;;", nil) }, 415, "is not supported; send"},
		{"JSON that is not a CloudEvent", func(t *testing.T) *http.Request { return post(t, "/", "application/json", asJSON(web)) }, 400, "not a CloudEvent: the request has no ce-specversion header"},
		{"an unknown version of CloudEvents", func(t *testing.T) *http.Request {
			return binary(t, with("specversion", "9.9"), "application/json", asJSON(web))
		}, 400, "ce-specversion"},
		{"a CloudEvent without id", func(t *testing.T) *http.Request {
			return binary(t, without("id"), "application/json", asJSON(web))
		}, 400, "id"},
		{"structured, but not JSON", func(t *testing.T) *http.Request { return post(t, "/", "application/cloudevents+json", []byte("{")) }, 400, "not a CloudEvent"},
		{"a batch that is no list", func(t *testing.T) *http.Request {
			return post(t, "/", "application/cloudevents-batch+json", []byte("{}"))
		}, 400, "the batch"},
		{"attributes that contradict the object", func(t *testing.T) *http.Request {
			return binary(t, with("name", "app"), "application/json", asJSON(web))
		}, 400, "name"},
		{"an object without kind", func(t *testing.T) *http.Request {
			return binary(t, without("kind"), "application/json", []byte(`{"metadata":{"name":"web","namespace":"shop"}}`))
		}, 400, ""},
		{"an unknown kind", func(t *testing.T) *http.Request {
			return binary(t, pod, "application/json", []byte(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web","namespace":"shop"}}`))
		}, 202, ""},
		{"an unknown type", func(t *testing.T) *http.Request {
			return binary(t, event("com.example.something"), "application/xml", []byte("<x/>"))
		}, 202, ""},
		{"the listener's reply, through a Broker", func(t *testing.T) *http.Request {
			return binary(t, event("dev.tekton.event.triggers.accepted.v1"), "application/json", asJSON(web))
		}, 202, ""},
		{"Revet's own event, through a Broker", func(t *testing.T) *http.Request {
			return post(t, "/", "application/cloudevents+json", structured(event("dev.cdevents.testsuiterun.finished.0.3.0"), web))
		}, 202, ""},
		{"Revet's own request, through a Broker", func(t *testing.T) *http.Request {
			return binary(t, event("dev.revet.verification.requested.v1"), "application/json", asJSON(web))
		}, 202, ""},
		{"an empty batch", func(t *testing.T) *http.Request {
			return post(t, "/", "application/cloudevents-batch+json", []byte("[]"))
		}, 202, ""},
		{"a deletion", func(t *testing.T) *http.Request {
			return binary(t, event("dev.knative.apiserver.resource.delete"), "application/json", asJSON(web))
		}, 202, ""},
		{"an Image", func(t *testing.T) *http.Request {
			return binary(t, image, "application/json", asJSON(map[string]any{"apiVersion": "image.openshift.io/v1", "kind": "Image", "metadata": map[string]string{"name": digestOf(1)}}))
		}, 202, ""},
		{"another method", func(t *testing.T) *http.Request {
			return httptest.NewRequestWithContext(t.Context(), http.MethodPut, "/", bytes.NewReader(asJSON(web)))
		}, 405, ""},
		{"another path", func(t *testing.T) *http.Request { return post(t, "/events", "application/json", asJSON(web)) }, 404, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newCell(t, triggerNamed("shop", "vet"), web.DeepCopy())
			code, body := send(t, c.receiver(), test.request(t))
			if code != test.want || !strings.Contains(body, test.cause) {
				t.Errorf("answered %d %q, want %d naming %q", code, body, test.want, test.cause)
			}
			if diff := cmp.Diff([]string{}, c.pushes()); diff != "" {
				t.Errorf("ledger (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(map[string]int{}, c.made()); diff != "" {
				t.Errorf("requests to the API server (-want +got):\n%s", diff)
			}
		})
	}
}

// An event is a hint: what the API server does not show is not recorded.
func TestForgedEventsRecordNothing(t *testing.T) {
	shown := streamOf("web", map[string][]int{"prod": {1}})
	for _, test := range []struct {
		name   string
		forged *imagev1.ImageStream
		want   []string
	}{
		{"a stream that is not there", streamOf("ghost", map[string][]int{"prod": {9}}), []string{}},
		{"another digest; the true one is recorded", streamOf("web", map[string][]int{"prod": {9}}), []string{"vet shop/web:prod@1"}},
		{"another tag; the true one is recorded", streamOf("web", map[string][]int{"evil": {1}}), []string{"vet shop/web:prod@1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newCell(t, triggerNamed("shop", "vet"), shown.DeepCopy())
			if code, body := send(t, c.receiver(), update(t, test.forged)); code != http.StatusAccepted {
				t.Errorf("answered %d %s, want 202", code, body)
			}
			if diff := cmp.Diff(test.want, c.pushes()); diff != "" {
				t.Errorf("ledger (-want +got):\n%s", diff)
			}
		})
	}
}

// A hostile tag among nineteen good ones is skipped, counted and logged; the
// nineteen are recorded.
func TestHostileTagTakesNoOtherDown(t *testing.T) {
	hostile := `"; $(touch /tmp/x) '` + "`id`"
	tags := map[string][]int{hostile: {99}}
	var want []string
	for n := range 19 {
		tags[fmt.Sprintf("good-%02d", n)] = []int{n + 1}
		want = append(want, fmt.Sprintf("vet shop/web:good-%02d@%x", n, n+1))
	}
	web := streamOf("web", tags)
	c := newCell(t, triggerNamed("shop", "vet"), web.DeepCopy())
	r := c.receiver()
	for range 3 {
		if code, body := send(t, r, update(t, web)); code != http.StatusAccepted {
			t.Fatalf("answered %d %s, want 202", code, body)
		}
	}
	got := c.pushes()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
	for _, p := range got {
		if strings.ContainsAny(p, "$'`\"") {
			t.Errorf("recorded the hostile tag: %s", p)
		}
	}
	if n := c.log.FilterMessage("tag skipped").Len(); n != 1 {
		t.Errorf("the skip was logged %d times in three events, want once", n)
	}
}

// History that no event brought is recorded with the head, and nothing that is
// older than the trigger, unless it asks for heads with existing: Verify.
func TestReceiverRecordsMissedHistorySinceTheTrigger(t *testing.T) {
	web := streamOf("web", map[string][]int{"prod": {3, 2, 1}, "old": {4}})
	web.Status.Tags[1].Items[2].Created = metav1.NewTime(noon.AddDate(0, 0, -1))
	web.Status.Tags[0].Items[0].Created = metav1.NewTime(noon.AddDate(0, 0, -1))
	verify := triggerNamed("shop", "all", func(t *v1alpha1.ImageTrigger) { t.Spec.Existing = v1alpha1.ExistingVerify })
	c := newCell(t, triggerNamed("shop", "vet"), verify, web.DeepCopy())
	if code, body := send(t, c.receiver(), update(t, web)); code != http.StatusAccepted {
		t.Fatalf("answered %d %s, want 202", code, body)
	}
	want := []string{"all shop/web:old@4", "all shop/web:prod@2", "all shop/web:prod@3", "vet shop/web:prod@2", "vet shop/web:prod@3"}
	if diff := cmp.Diff(want, c.pushes()); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
}

// An event that shows nothing new costs no request; a new push costs one
// re-read, one review, one look at the image and one write. What is exempt costs a look
// at the registry, with its account's credentials, once.
func TestRequestsThatAnEventCosts(t *testing.T) {
	s := newSite(t)
	signature := s.push("shop/web:sig", artefact())
	web := streamOf("web", map[string][]int{"prod": {1}})
	web.Labels = map[string]string{"tier": "prod"}
	web.Status.DockerImageRepository = s.host + "/shop/web"
	web.Status.Tags = append(web.Status.Tags, imagev1.NamedTagEventList{Tag: "sha256-" + strings.Repeat("a", 64) + ".sig", Items: []imagev1.TagEvent{{Created: metav1.NewTime(noon), Image: signature}}})
	shy := imageOf(7, "", "application/vnd.dev.cosign.simplesigning.v1+json")
	shy.Name = signature
	c := registered(t, s, triggerNamed("shop", "vet"), triggerNamed("other", "elsewhere"))
	for _, o := range []client.Object{web.DeepCopy(), imageOf(1, "amd64", rootFSLayer), shy} {
		if err := c.client.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	c.made()
	r := c.receiver()
	for n, want := range []map[string]int{
		{"get ImageStream": 1, "create SubjectAccessReview": 1, "get Image": 2, "get ServiceAccount": 1, "create ImageVerification": 1},
		{},
		{},
	} {
		if code, body := send(t, r, update(t, web)); code != http.StatusAccepted {
			t.Fatalf("event %d: answered %d %s, want 202", n+1, code, body)
		}
		if diff := cmp.Diff(want, c.made()); diff != "" {
			t.Errorf("requests of event %d (-want +got):\n%s", n+1, diff)
		}
	}
	if diff := cmp.Diff([]string{"vet shop/web:prod@1"}, c.pushes()); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
	if code, _ := send(t, c.receiver(), update(t, web)); code != http.StatusAccepted {
		t.Errorf("another receiver answered %d, want 202", code)
	}
	if n := c.made()["create ImageVerification"]; n != 0 {
		t.Errorf("another receiver, which knows the ledger, created %d entries", n)
	}
}

// What fails, but may succeed later, is answered 503; the retry records it.
func TestFailuresThatARetryCures(t *testing.T) {
	web := streamOf("web", map[string][]int{"prod": {1}})
	for _, test := range []struct {
		name  string
		fails func(verb string, obj client.Object) bool
	}{
		{"the re-read", func(verb string, obj client.Object) bool { _, ok := obj.(*imagev1.ImageStream); return ok }},
		{"the review of the account", func(verb string, obj client.Object) bool {
			_, ok := obj.(*authorizationv1.SubjectAccessReview)
			return ok
		}},
		{"the look at the image", func(verb string, obj client.Object) bool { _, ok := obj.(*imagev1.Image); return ok }},
		{"the write", func(verb string, obj client.Object) bool { return verb == "create" && isEntry(obj) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newCell(t, triggerNamed("shop", "vet"), web.DeepCopy())
			r := c.receiver()
			c.failing(func(verb string, obj client.Object) error {
				if test.fails(verb, obj) {
					return errors.New("the API server is away, and token s3cr3t is none of the caller's business")
				}
				return nil
			})
			code, body := send(t, r, update(t, web))
			if code != http.StatusServiceUnavailable || strings.Contains(body, "s3cr3t") {
				t.Errorf("answered %d %q, want 503 without the internal error", code, body)
			}
			if diff := cmp.Diff([]string{}, c.pushes()); diff != "" {
				t.Errorf("ledger (-want +got):\n%s", diff)
			}
			c.failing(nil)
			if code, body := send(t, r, update(t, web)); code != http.StatusAccepted {
				t.Errorf("the retry was answered %d %s, want 202", code, body)
			}
			if diff := cmp.Diff([]string{"vet shop/web:prod@1"}, c.pushes()); diff != "" {
				t.Errorf("ledger after the retry (-want +got):\n%s", diff)
			}
		})
	}
}

func isEntry(obj client.Object) bool { _, ok := obj.(*v1alpha1.ImageVerification); return ok }

// One trigger's failure does not keep another's push from being recorded, but
// then the sender is asked to come again.
func TestOneTriggersFailureDoesNotStopOthers(t *testing.T) {
	web := streamOf("web", map[string][]int{"prod": {1}})
	c := newCell(t, triggerNamed("shop", "a"), triggerNamed("shop", "b"), triggerNamed("shop", "c"), web.DeepCopy())
	r := c.receiver()
	c.failing(func(verb string, obj client.Object) error {
		if e, ok := obj.(*v1alpha1.ImageVerification); ok && e.Spec.Trigger.Name == "a" {
			return errors.New("no")
		}
		return nil
	})
	if code, _ := send(t, r, update(t, web)); code != http.StatusServiceUnavailable {
		t.Errorf("answered %d, want 503", code)
	}
	if diff := cmp.Diff([]string{"b shop/web:prod@1", "c shop/web:prod@1"}, c.pushes()); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
}

// In a batch, one that is broken keeps no other from being recorded, and its
// sender learns which.
func TestBrokenEventInABatch(t *testing.T) {
	web := streamOf("web", map[string][]int{"prod": {1}})
	c := newCell(t, triggerNamed("shop", "vet"), web.DeepCopy())
	batch := asJSON([]json.RawMessage{[]byte(`{"specversion":"1.0"}`), structured(attributes(web, updated), web)})
	code, body := send(t, c.receiver(), post(t, "/", "application/cloudevents-batch+json", batch))
	if code != http.StatusBadRequest || !strings.Contains(body, "event 1 of the batch") {
		t.Errorf("answered %d %q, want 400 naming event 1", code, body)
	}
	if diff := cmp.Diff([]string{"vet shop/web:prod@1"}, c.pushes()); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
}

// A trigger sees only streams that its account may get; the log says how to
// change that, once.
func TestAccountBoundsWhatATriggerSees(t *testing.T) {
	web := streamOf("web", map[string][]int{"prod": {1}})
	everywhere := func(account string) func(*v1alpha1.ImageTrigger) {
		return func(t *v1alpha1.ImageTrigger) {
			t.Spec.ServiceAccountName = account
			t.Spec.Images[0].ImageStreams.NamespaceSelector = &metav1.LabelSelector{}
		}
	}
	c := newCell(t, triggerNamed("sec", "may", everywhere("scanner")), triggerNamed("evil", "maynot", everywhere("")), web.DeepCopy())
	c.denied["system:serviceaccount:evil:default"] = true
	r := c.receiver()
	for range 2 {
		if code, body := send(t, r, update(t, web)); code != http.StatusAccepted {
			t.Fatalf("answered %d %s, want 202", code, body)
		}
	}
	if diff := cmp.Diff([]string{"may shop/web:prod@1"}, c.pushes()); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
	logged := c.log.FilterField(zapReason("NotVisible")).All()
	if len(logged) != 1 {
		t.Fatalf("logged %d times, want once", len(logged))
	}
	if got := fmt.Sprint(logged[0].ContextMap()["error"]); !strings.Contains(got, "kubectl create rolebinding") || !strings.Contains(got, "--serviceaccount=evil:default") {
		t.Errorf("the log names no cure: %s", got)
	}
}

func TestReceiverSelectsByNamespaceLabels(t *testing.T) {
	web := streamOf("web", map[string][]int{"prod": {1}, "dev": {2}})
	byLabel := func(value string) func(*v1alpha1.ImageTrigger) {
		return func(t *v1alpha1.ImageTrigger) {
			t.Spec.Images = []v1alpha1.ImageSelector{{
				ImageStreams: &v1alpha1.ImageStreamSelector{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"vetted": value}}},
				Tags:         v1alpha1.TagSelector{Exclude: []string{"dev"}},
			}}
		}
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop", Labels: map[string]string{"vetted": "yes"}}}
	c := newCell(t, triggerNamed("sec", "yes", byLabel("yes")), triggerNamed("sec", "no", byLabel("no")), namespace, web.DeepCopy())
	if code, body := send(t, c.receiver(), update(t, web)); code != http.StatusAccepted {
		t.Fatalf("answered %d %s, want 202", code, body)
	}
	if diff := cmp.Diff([]string{"yes shop/web:prod@1"}, c.pushes()); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
}

// The same event delivered 100 times, at once, to two receivers gives one entry
// and costs each at most one re-read.
func TestHundredDeliveriesAtOnceGiveOneEntry(t *testing.T) {
	web := streamOf("web", map[string][]int{"prod": {1}, "next": {1}})
	c := newCell(t, triggerNamed("shop", "vet"), web.DeepCopy())
	receivers := []*Receiver{c.receiver(), c.receiver()}
	var wg sync.WaitGroup
	for n := range 100 {
		wg.Go(func() {
			if code, body := send(t, receivers[n%2], update(t, web)); code != http.StatusAccepted {
				t.Errorf("delivery %d was answered %d %s, want 202", n, code, body)
			}
		})
	}
	wg.Wait()
	if diff := cmp.Diff([]string{"vet shop/web:next@1", "vet shop/web:prod@1"}, c.pushes()); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
	if n := c.made()["get ImageStream"]; n > 2 {
		t.Errorf("100 deliveries cost %d re-reads, want at most one a receiver", n)
	}
}

// Until its caches are complete a receiver must not judge: no trigger would seem
// to select anything.
func TestReceiverAsksToComeAgainUntilItsCachesAreComplete(t *testing.T) {
	web := streamOf("web", map[string][]int{"prod": {1}})
	c := newCell(t, triggerNamed("shop", "vet"), web.DeepCopy())
	r := c.receiver()
	r.synced.Store(false)
	if code, _ := send(t, r, update(t, web)); code != http.StatusServiceUnavailable {
		t.Errorf("answered %d, want 503", code)
	}
	if code, body := sendTo(t, r.probes, get(t, "/readyz")); code != http.StatusServiceUnavailable || !strings.Contains(body, "CustomResourceDefinitions") {
		t.Errorf("/readyz answered %d %s, want 503 with a cause", code, body)
	}
	if code, _ := sendTo(t, r.probes, get(t, "/healthz")); code != http.StatusOK {
		t.Errorf("/healthz answered %d, want 200", code)
	}
}

// Who may send events is not shown more than that: probes are on a port of their own, and say
// nothing of the configuration.
func TestProbesAreOnAPortOfTheirOwn(t *testing.T) {
	c := newCell(t, triggerNamed("shop", "vet"))
	r := c.receiver()
	r.watches.config.Handler().OnAdd(&corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "revet-system", Name: config.RegistriesConfigMap},
		Data:       map[string]string{config.RegistriesKey: "{"},
	}, false)
	if problems := r.watches.config.Problems(); len(problems) != 1 {
		t.Fatalf("problems %v, want the broken ConfigMap", problems)
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if code, _ := send(t, r, get(t, path)); code != http.StatusNotFound && code != http.StatusMethodNotAllowed {
			t.Errorf("%s on the port of events answered %d", path, code)
		}
		if code, body := sendTo(t, r.probes, get(t, path)); code != http.StatusOK || body != "ok\n" {
			t.Errorf("%s answered %d %q, want ok and no more", path, code, body)
		}
	}
	if c.log.FilterMessage("configuration cannot be used").Len() != 1 {
		t.Errorf("the log does not say what is wrong: %v", c.log.All())
	}
}

// A panic is answered 503: the adapter drops what was answered 500.
func TestPanicIsAnsweredWithTryAgain(t *testing.T) {
	web := streamOf("web", map[string][]int{"prod": {1}})
	c := newCell(t, triggerNamed("shop", "vet"), web.DeepCopy())
	r := c.receiver()
	c.failing(func(string, client.Object) error { panic("a bug") })
	if code, body := send(t, r, update(t, web)); code != http.StatusServiceUnavailable || strings.Contains(body, "a bug") {
		t.Errorf("answered %d %q, want 503 without the internals", code, body)
	}
	if c.log.FilterMessage("handler panicked").Len() != 1 {
		t.Error("the panic was not logged")
	}
	c.failing(nil)
	if code, _ := send(t, r, update(t, web)); code != http.StatusAccepted {
		t.Errorf("the retry was answered %d, want 202: a lock may have been left behind", code)
	}
}

func get(t *testing.T, path string) *http.Request {
	t.Helper()
	return httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
}

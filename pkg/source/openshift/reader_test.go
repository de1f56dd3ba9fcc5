package openshift_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	imagev1 "github.com/openshift/api/image/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/kube"
	"github.com/revet-dev/revet/pkg/push"
	"github.com/revet-dev/revet/pkg/source"
	"github.com/revet-dev/revet/pkg/source/openshift"
)

const digestA = "sha256:" + hexA

func fakeClient(t *testing.T, funcs interceptor.Funcs, objects ...client.Object) client.WithWatch {
	t.Helper()
	scheme, err := kube.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithInterceptorFuncs(funcs).Build()
}

func TestReaderReadsAStream(t *testing.T) {
	is := &imagev1.ImageStream{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "app", UID: "u1", Labels: map[string]string{"a": "b"}}}
	reader := openshift.NewReader(fakeClient(t, interceptor.Funcs{}, is), nil)
	want := &openshift.StreamState{Namespace: "team-a", Name: "app", Labels: map[string]string{"a": "b"},
		Stream: push.Stream{Repository: push.Repository{Kind: push.ImageStream, Name: "team-a/app", UID: "u1"}}}
	got, err := reader.Stream(t.Context(), "team-a", "app")
	if diff := cmp.Diff(want, got, exported); diff != "" || err != nil {
		t.Errorf("stream (-want +got), error %v:\n%s", err, diff)
	}
	if got, err := reader.Stream(t.Context(), "team-a", "other"); got != nil || err != nil {
		t.Errorf("a stream that does not exist: %+v, %v", got, err)
	}
}

// An API server that fails is never taken for a stream or an Image that does not exist.
func TestReaderTellsAwayFromGone(t *testing.T) {
	away := errors.New("connection refused")
	reader := openshift.NewReader(fakeClient(t, interceptor.Funcs{
		Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
			return away
		},
	}), nil)
	d, err := image.ParseDigest(digestA)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reader.Stream(t.Context(), "team-a", "app"); !errors.Is(err, away) {
		t.Errorf("stream: error %v", err)
	}
	if _, err := reader.Image(t.Context(), d); !errors.Is(err, away) {
		t.Errorf("image: error %v", err)
	}
	index := &imagev1.Image{DockerImageManifests: []imagev1.ImageManifest{{Digest: digestA, OS: "linux", Architecture: "amd64"}}}
	if _, err := reader.Facts(t.Context(), index, nil); !errors.Is(err, away) {
		t.Errorf("children of an index: error %v", err)
	}
}

func TestReaderShowsImages(t *testing.T) {
	named := func(metadata string, manifests ...imagev1.ImageManifest) *imagev1.Image {
		return &imagev1.Image{ObjectMeta: metav1.ObjectMeta{Name: digestA}, DockerImageMetadata: runtime.RawExtension{Raw: []byte(metadata)},
			DockerImageManifests: manifests}
	}
	for _, test := range []struct {
		name string
		img  client.Object
		want openshift.ImageState
	}{
		{"none", nil, openshift.ImageState{}},
		{"an image", named(`{"Architecture":"amd64"}`), openshift.ImageState{Runs: true, Facts: &v1alpha1.ImageFacts{Platforms: []string{"linux/amd64"}, Source: "Image"}}},
		{"an index leaves the facts to the reader of its children", named(`{}`, imagev1.ImageManifest{OS: "linux", Architecture: "amd64"}), openshift.ImageState{Runs: true}},
		{"one that shows nothing that runs proves nothing", named(`{}`), openshift.ImageState{}},
		{"one that cannot be decoded", named(`[]`), openshift.ImageState{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var objects []client.Object
			if test.img != nil {
				objects = append(objects, test.img)
			}
			d, err := image.ParseDigest(digestA)
			if err != nil {
				t.Fatal(err)
			}
			got, err := openshift.NewReader(fakeClient(t, interceptor.Funcs{}, objects...), nil).Image(t.Context(), d)
			if diff := cmp.Diff(test.want, got); diff != "" || err != nil {
				t.Errorf("image (-want +got), error %v:\n%s", err, diff)
			}
		})
	}
}

func TestReaderAsksForTheRightToAStream(t *testing.T) {
	var asked authorizationv1.SubjectAccessReviewSpec
	c := fakeClient(t, interceptor.Funcs{Create: func(_ context.Context, _ client.WithWatch, o client.Object, _ ...client.CreateOption) error {
		review := o.(*authorizationv1.SubjectAccessReview)
		asked, review.Status.Allowed = review.Spec, true
		return nil
	}})
	account := source.Account{Namespace: "team-a", Name: "builder"}
	allowed, err := openshift.NewReader(c, source.NewRights(c, 0, time.Now)).MayGet(t.Context(), account, "team-b", "app")
	want := authorizationv1.SubjectAccessReviewSpec{User: account.User(), Groups: account.Groups(), ResourceAttributes: &authorizationv1.ResourceAttributes{
		Verb: "get", Group: "image.openshift.io", Resource: "imagestreams", Namespace: "team-b", Name: "app",
	}}
	if diff := cmp.Diff(want, asked); diff != "" || !allowed || err != nil {
		t.Errorf("allowed %t, error %v, asked (-want +got):\n%s", allowed, err, diff)
	}
}

// pages serves streams 0..n-1, two a page, and fails where fail says so.
func pages(n int, fail func(call int, token string) error) func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error {
	calls := 0
	return func(_ context.Context, _ client.WithWatch, l client.ObjectList, opts ...client.ListOption) error {
		var o client.ListOptions
		o.ApplyOptions(opts)
		calls++
		if err := fail(calls, o.Continue); err != nil {
			return err
		}
		from := 0
		if o.Continue != "" {
			if _, err := fmt.Sscanf(o.Continue, "from-%d", &from); err != nil {
				return err
			}
		}
		list := l.(*imagev1.ImageStreamList)
		for i := from; i < min(n, from+2); i++ {
			list.Items = append(list.Items, imagev1.ImageStream{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: fmt.Sprint(i)}})
		}
		if next := from + 2; next < n {
			list.Continue = fmt.Sprintf("from-%d", next)
		}
		return nil
	}
}

func TestListIsReadPageByPage(t *testing.T) {
	expired := apierrors.NewResourceExpired("the continue token is too old")
	for _, test := range []struct {
		name    string
		streams int
		fail    func(call int, token string) error
		want    string
		err     error
	}{
		{"no stream", 0, func(int, string) error { return nil }, "", nil},
		{"one page", 2, func(int, string) error { return nil }, "0 1", nil},
		{"three pages", 5, func(int, string) error { return nil }, "0 1 2 3 4", nil},
		{"a list that expires begins again", 5, func(call int, _ string) error {
			if call == 3 {
				return expired
			}
			return nil
		}, "0 1 2 3 0 1 2 3 4", nil},
		{"a list that always expires ends", 5, func(_ int, token string) error {
			if token != "" {
				return expired
			}
			return nil
		}, "0 1 0 1 0 1 0 1 0 1 0 1", expired},
		{"no such kind", 5, func(int, string) error {
			return &meta.NoKindMatchError{GroupKind: schema.GroupKind{Group: "image.openshift.io", Kind: "ImageStream"}}
		}, "", openshift.ErrNoStreams},
		{"no such resource", 5, func(int, string) error {
			return apierrors.NewNotFound(schema.GroupResource{Resource: "imagestreams"}, "")
		}, "", openshift.ErrNoStreams},
	} {
		t.Run(test.name, func(t *testing.T) {
			reader := openshift.NewReader(fakeClient(t, interceptor.Funcs{List: pages(test.streams, test.fail)}), nil)
			var got []string
			err := reader.EachStream(t.Context(), "team-a", func(s *openshift.StreamState) { got = append(got, s.Name) })
			if !errors.Is(err, test.err) {
				t.Errorf("error %v, want %v", err, test.err)
			}
			if diff := cmp.Diff(test.want, strings.Join(got, " ")); diff != "" {
				t.Errorf("streams (-want +got):\n%s", diff)
			}
		})
	}
}

// The raw list and the typed list agree, errors included, and after a large page the next
// ones ask for fewer streams.
func TestRawListsAreReadAsTypedOnes(t *testing.T) {
	streams := `{"kind":"ImageStreamList","apiVersion":"image.openshift.io/v1","metadata":{"resourceVersion":"9","continue":"next"},"items":[
		{"metadata":{"name":"app","namespace":"team-a","uid":"u1","labels":{"a":"b"},"managedFields":[{"manager":"x"}]},
		 "spec":{"tags":[{"name":"v1","referencePolicy":{"type":"Local"}}]},
		 "status":{"dockerImageRepository":"registry:5000/team-a/app","tags":[{"tag":"v1","items":[{"created":"2025-03-01T12:00:10Z","dockerImageReference":"elsewhere/x@` + digestA + `","image":"` + digestA + `","generation":2}]}]}}]}`
	last := `{"kind":"ImageStreamList","apiVersion":"image.openshift.io/v1","metadata":{},"items":[{"metadata":{"name":"db","namespace":"team-a","uid":"u2"},"status":{"dockerImageRepository":""}}]}`
	heavy := strings.Replace(streams, `"resourceVersion"`, `"pad":"`+strings.Repeat("x", openshift.PageBytes)+`","resourceVersion"`, 1)
	var limits []string
	answer := func(w http.ResponseWriter, r *http.Request) {
		limits = append(limits, r.URL.Query().Get("limit"))
		body := streams
		switch {
		case r.URL.Path != "/apis/image.openshift.io/v1/namespaces/team-a/imagestreams":
			w.WriteHeader(http.StatusNotFound)
		case r.URL.Query().Get("continue") != "":
			body = last
		case r.URL.Query().Get("limit") == "500":
			body = heavy
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(body))
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer(w, r) }))
	defer server.Close()
	raw := rawClient(t, server.URL)
	scheme, err := kube.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	typed, err := client.New(&rest.Config{Host: server.URL}, client.Options{Scheme: scheme, Mapper: mapper()})
	if err != nil {
		t.Fatal(err)
	}
	list := func(r *openshift.Reader) (all []openshift.StreamState) {
		if err := r.EachStream(t.Context(), "team-a", func(s *openshift.StreamState) { all = append(all, *s) }); err != nil {
			t.Fatal(err)
		}
		return all
	}
	want := list(openshift.NewReader(typed, nil))
	limits = nil
	if diff := cmp.Diff(want, list(openshift.NewReader(typed, nil).ListingWith(raw)), exported); diff != "" || len(want) != 2 {
		t.Errorf("streams (-typed +raw):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"500", "250"}, limits); diff != "" {
		t.Errorf("limits (-want +got):\n%s", diff)
	}
	for _, test := range []struct {
		name   string
		status int
		body   string
		is     func(error) bool
	}{
		{"no such resource", 404, "404 page not found", func(err error) bool { return errors.Is(err, openshift.ErrNoStreams) }},
		{"an expired list", 410, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Expired","code":410}`, apierrors.IsResourceExpired},
		{"no right", 403, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403}`, apierrors.IsForbidden},
		{"half an answer", 200, streams[:len(streams)-20], func(err error) bool { return strings.Contains(err.Error(), "decoding") }},
	} {
		t.Run(test.name, func(t *testing.T) {
			answer = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(test.status)
				_, _ = w.Write([]byte(test.body))
			}
			err := openshift.NewReader(typed, nil).ListingWith(raw).EachStream(t.Context(), "team-a", func(*openshift.StreamState) {})
			if err == nil || !test.is(err) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// mapper knows ImageStreams without asking.
func mapper() meta.RESTMapper {
	m := meta.NewDefaultRESTMapper(nil)
	m.Add(imagev1.GroupVersion.WithKind("ImageStream"), meta.RESTScopeNamespace)
	return m
}

func rawClient(t *testing.T, host string) rest.Interface {
	t.Helper()
	scheme, err := kube.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	group := imagev1.GroupVersion
	c, err := rest.RESTClientFor(&rest.Config{Host: host, APIPath: "/apis", ContentConfig: rest.ContentConfig{
		GroupVersion: &group, NegotiatedSerializer: serializer.NewCodecFactory(scheme).WithoutConversion(),
	}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Streams that are too large together are read fewer at once, and each of them once.
func TestLargeStreamsAreReadFewerAtOnce(t *testing.T) {
	reader := openshift.NewReader(fakeClient(t, interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, l client.ObjectList, opts ...client.ListOption) error {
			var o client.ListOptions
			o.ApplyOptions(opts)
			if o.Limit > 3 {
				return kube.ErrPageTooLarge
			}
			return pages(5, func(int, string) error { return nil })(ctx, c, l, opts...)
		},
	}), nil)
	var got []string
	if err := reader.EachStream(t.Context(), "team-a", func(s *openshift.StreamState) { got = append(got, s.Name) }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("0 1 2 3 4", strings.Join(got, " ")); diff != "" {
		t.Errorf("streams (-want +got):\n%s", diff)
	}
}

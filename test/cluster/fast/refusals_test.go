package fast_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	imagev1 "github.com/openshift/api/image/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

var (
	mappingResource   = schema.GroupVersionResource{Group: "image.openshift.io", Version: "v1", Resource: "imagestreammappings"}
	streamTagResource = schema.GroupVersionResource{Group: "image.openshift.io", Version: "v1", Resource: "imagestreamtags"}
)

const indexType = "application/vnd.oci.image.index.v1+json"

// request asks the registry without a client's own logic.
func request(t *testing.T, method, path, contentType, body string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, shared.Registry().URL()+"/v2/"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Accept", indexType+", application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode
}

// index is an index with one child, whose descriptor has a platform or none.
func index(child, platform string) string {
	return fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":%q,"size":7%s}]}`,
		indexType, child, platform)
}

// The real registry answers 500 to an index with a child that names no platform, since the Image
// would be invalid. Platform unknown/unknown is taken.
func TestAnIndexWhoseChildrenNameNoPlatformIsRefused(t *testing.T) {
	namespace := newNamespace(t)
	child := push(t, namespace+"/app:v1")
	for name, row := range map[string]struct {
		platform string
		want     int
	}{
		"no platform":     {"", http.StatusInternalServerError},
		"no architecture": {`,"platform":{"os":"linux"}`, http.StatusInternalServerError},
		"unknown/unknown": {`,"platform":{"os":"unknown","architecture":"unknown"}`, http.StatusCreated},
	} {
		t.Run(name, func(t *testing.T) {
			tag := strings.NewReplacer(" ", "-", "/", "-").Replace(name)
			body := index(child, row.platform)
			if got := request(t, http.MethodPut, namespace+"/app/manifests/"+tag, indexType, body); got != row.want {
				t.Errorf("PUT was answered %d, want %d", got, row.want)
			}
			want := http.StatusNotFound
			if row.want == http.StatusCreated {
				want = http.StatusOK
			}
			if got := request(t, http.MethodGet, namespace+"/app/manifests/"+digestOf([]byte(body)), "", ""); got != want {
				t.Errorf("GET by digest was answered %d, want %d", got, want)
			}
		})
	}
}

// The real registry serves by digest what a tag of the stream shows, and the children of an index
// that one shows, and nothing else. HEAD in a stream that does not exist is answered 500.
func TestAManifestThatNoTagShowsIsNotServed(t *testing.T) {
	namespace := newNamespace(t)
	shown := push(t, namespace+"/app:v1")
	img, hidden := newImage(t)
	if err := write(t.Context(), namespace+"/app@"+hidden, img); err != nil {
		t.Fatal(err)
	}
	check := func(what, path string, want int) {
		t.Helper()
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			if got := request(t, method, path, "", ""); got != want {
				t.Errorf("%s of %s was answered %d, want %d", method, what, got, want)
			}
		}
	}
	check("a tag's image", namespace+"/app/manifests/"+shown, http.StatusOK)
	check("an image without a tag", namespace+"/app/manifests/"+hidden, http.StatusNotFound)
	body := index(hidden, `,"platform":{"os":"linux","architecture":"amd64"}`)
	if got := request(t, http.MethodPut, namespace+"/app/manifests/list", indexType, body); got != http.StatusCreated {
		t.Fatalf("the index was answered %d", got)
	}
	check("a child of a tag's index", namespace+"/app/manifests/"+hidden, http.StatusOK)
	if got := request(t, http.MethodHead, namespace+"/none/manifests/"+shown, "", ""); got != http.StatusInternalServerError {
		t.Errorf("HEAD in a stream that does not exist was answered %d, want 500", got)
	}
	if got := request(t, http.MethodHead, namespace+"/none/manifests/v1", "", ""); got != http.StatusNotFound {
		t.Errorf("HEAD of a tag in a stream that does not exist was answered %d, want 404", got)
	}
}

// mapTo posts an ImageStreamMapping.
func mapTo(t *testing.T, namespace, tag, digest, reference string, labels map[string]any) error {
	t.Helper()
	_, err := objects(t).Resource(mappingResource).Namespace(namespace).Create(t.Context(), &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "image.openshift.io/v1", "kind": "ImageStreamMapping",
		"metadata": map[string]any{"name": "app", "namespace": namespace}, "tag": tag,
		"image": map[string]any{
			"metadata": map[string]any{"name": digest, "labels": labels}, "dockerImageReference": reference,
			"dockerImageMetadata": map[string]any{"kind": "DockerImage", "apiVersion": "image.openshift.io/1.0"},
		},
	}}, metav1.CreateOptions{})
	return err
}

func head(t *testing.T, namespace, tag string) (items []imagev1.TagEvent) {
	t.Helper()
	object, err := objects(t).Resource(streamResource).Namespace(namespace).Get(t.Context(), "app", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := object.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var stream imagev1.ImageStream
	if err := json.Unmarshal(raw, &stream); err != nil {
		t.Fatal(err)
	}
	for _, entry := range stream.Status.Tags {
		if entry.Tag == tag {
			items = entry.Items
		}
	}
	return items
}

// The first ImageStreamMapping of a digest makes the Image as it says, true or not, and a later push
// keeps it. A mapping with the head's reference and another digest changes the head in place.
func TestMappingsAreBelieved(t *testing.T) {
	namespace := newNamespace(t)
	if err := mapTo(t, namespace, "v1", digestOf([]byte("x")), "somewhere/app:v1", nil); !apierrors.IsNotFound(err) {
		t.Errorf("a mapping into a stream that does not exist: %v, want not found", err)
	}
	push(t, namespace+"/app:other")
	img, forged := newImage(t)
	reference := "image-registry.openshift-image-registry.svc:5000/" + namespace + "/app@" + forged
	if err := mapTo(t, namespace, "v1", forged, reference, map[string]any{"forged": "yes"}); err != nil {
		t.Fatal(err)
	}
	if err := write(t.Context(), namespace+"/app:v1", img); err != nil {
		t.Fatal(err)
	}
	image, err := objects(t).Resource(imageResource).Get(t.Context(), forged, metav1.GetOptions{})
	if err != nil || image.GetLabels()["forged"] != "yes" {
		t.Errorf("the Image is %v, %v, want the one of the mapping", image, err)
	}
	before := head(t, namespace, "v1")
	second := digestOf([]byte(namespace))
	if err := mapTo(t, namespace, "v1", second, reference, nil); err != nil {
		t.Fatal(err)
	}
	if len(before) != 1 {
		t.Fatalf("the history was %v, want one item", before)
	}
	want := []imagev1.TagEvent{before[0]}
	want[0].Image = second
	if diff := cmp.Diff(want, head(t, namespace, "v1")); diff != "" {
		t.Errorf("history after a mapping with the same reference (-want +got):\n%s", diff)
	}
	if err := mapTo(t, namespace, "v2", forged, reference, map[string]any{"forged": "no"}); err != nil {
		t.Fatalf("a second mapping of a digest: %v", err)
	}
	image, err = objects(t).Resource(imageResource).Get(t.Context(), forged, metav1.GetOptions{})
	if items := head(t, namespace, "v2"); err != nil || image.GetLabels()["forged"] != "yes" || len(items) != 1 {
		t.Errorf("after a second mapping the Image is %v, %v and the history %v", image, err, items)
	}
}

// putTag does what "oc tag" does.
func putTag(t *testing.T, client dynamic.Interface, namespace, name string, from map[string]any) error {
	t.Helper()
	_, err := client.Resource(streamTagResource).Namespace(namespace).Create(t.Context(), &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "image.openshift.io/v1", "kind": "ImageStreamTag",
		"metadata": map[string]any{"name": name, "namespace": namespace},
		"tag":      map[string]any{"name": "ignored", "from": from},
	}}, metav1.CreateOptions{})
	return err
}

// The real server looks the source of a tag up. It refuses a stream and a digest that do not exist,
// takes the beginning of a digest, and leaves a tag that does not exist yet unresolved.
func TestSourcesOfTagsAreLookedUp(t *testing.T) {
	namespace := newNamespace(t)
	digest := push(t, namespace+"/app:v1")
	for name, row := range map[string]struct {
		kind, from string
		refused    string
		image      string
	}{
		"a tag":                           {"ImageStreamTag", "app:v1", "", digest},
		"a tag that does not exist yet":   {"ImageStreamTag", "app:v2", "", ""},
		"a stream that does not exist":    {"ImageStreamTag", "none:v1", "Not found", ""},
		"an image of the history":         {"ImageStreamImage", "app@" + digest, "", digest},
		"the beginning of a digest":       {"ImageStreamImage", "app@" + digest[:20], "", digest},
		"an image that is not there":      {"ImageStreamImage", "app@" + digestOf(nil), "is not in the history", ""},
		"an image of a missing stream":    {"ImageStreamImage", "none@" + digest, "Not found", ""},
		"a name that is no image's":       {"ImageStreamImage", "app", "must be <stream>@<digest>", ""},
		"a kind that nothing comes from":  {"Pod", "app", "Unsupported value", ""},
		"a reference to another registry": {"DockerImage", "example.test/x:v1", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			tag := strings.ReplaceAll(name, " ", "-")
			err := putTag(t, objects(t), namespace, "target:"+strings.ReplaceAll(tag, "'", ""), map[string]any{"kind": row.kind, "name": row.from})
			if row.refused == "" && err != nil || row.refused != "" && (!apierrors.IsInvalid(err) || !strings.Contains(err.Error(), row.refused)) {
				t.Fatalf("the tag was answered %v, want %q", err, row.refused)
			}
			if err != nil {
				return
			}
			got, err := history(t, namespace, "target", tag)
			if row.image == "" && len(got) > 0 || row.image != "" && (len(got) != 1 || got[0] != row.image) {
				t.Errorf("the history is %v, %v, want %q", got, err, row.image)
			}
		})
	}
	push(t, namespace+"/gone:v1")
	if err := putTag(t, objects(t), namespace, "copy:v1", map[string]any{"kind": "ImageStreamTag", "name": "gone:v1"}); err != nil {
		t.Fatal(err)
	}
	streams := objects(t).Resource(streamResource).Namespace(namespace)
	if err := streams.Delete(t.Context(), "gone", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := putTag(t, objects(t), namespace, "copy:v2", map[string]any{"kind": "ImageStreamTag", "name": "app:v1"}); err != nil {
		t.Errorf("a stream whose older tag lost its source gets no other tag: %v", err)
	}
	if err := putTag(t, objects(t), namespace, "app:v1", map[string]any{"kind": "ImageStreamTag", "name": "app:v1"}); err != nil {
		t.Errorf("a tag that only a push made cannot be created: %v", err)
	}
	if err := putTag(t, objects(t), namespace, "app:v1", map[string]any{"kind": "ImageStreamTag", "name": "app:v1"}); !apierrors.IsAlreadyExists(err) {
		t.Errorf("a tag of the spec was created twice: %v", err)
	}
}

// A tag from another namespace takes "get imagestreams/layers" there, of whoever writes it.
func TestATagFromAnotherNamespaceTakesTheRightToPull(t *testing.T) {
	mine, theirs := newNamespace(t), newNamespace(t)
	digest := push(t, theirs+"/app:v1")
	config, err := shared.UserConfig("joe-" + mine)
	if err != nil {
		t.Fatal(err)
	}
	joe, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	grant(t, mine, "joe-"+mine, rbacv1.PolicyRule{APIGroups: []string{"image.openshift.io"}, Resources: []string{"imagestreams", "imagestreamtags"}, Verbs: []string{"*"}})
	from := map[string]any{"kind": "ImageStreamTag", "namespace": theirs, "name": "app:v1"}
	var refused error
	eventually(t, "the write is allowed, but for its source", func() error {
		refused = putTag(t, joe, mine, "copy:v1", from)
		if !apierrors.IsInvalid(refused) {
			return fmt.Errorf("it was answered %w", refused)
		}
		return nil
	})
	if !strings.Contains(refused.Error(), "Forbidden: "+theirs+"/app") {
		t.Errorf("the refusal is %q", refused)
	}
	grant(t, theirs, "joe-"+mine, rbacv1.PolicyRule{APIGroups: []string{"image.openshift.io"}, Resources: []string{"imagestreams/layers"}, Verbs: []string{"get"}})
	eventually(t, "the tag is taken", func() error { return putTag(t, joe, mine, "copy:v1", from) })
	if got, err := history(t, mine, "copy", "v1"); err != nil || !slices.Equal(got, []string{digest}) {
		t.Errorf("the history is %v, %v", got, err)
	}
}

// grant gives a user a rule in a namespace.
func grant(t *testing.T, namespace, user string, rule rbacv1.PolicyRule) {
	t.Helper()
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}, Rules: []rbacv1.PolicyRule{rule}}
	role, err := admin(t).RbacV1().Roles(namespace).Create(t.Context(), role, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = admin(t).RbacV1().RoleBindings(namespace).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// The real server holds a stream's name to the registry's pattern for a path component, and
// generateName to the same pattern, so that the usual trailing '-' is refused.
func TestNamesOfStreams(t *testing.T) {
	namespace := newNamespace(t)
	for name, row := range map[string]struct {
		metadata map[string]any
		valid    bool
	}{
		"separators between letters": {map[string]any{"name": "a.b-c_d"}, true},
		"two separators in a row":    {map[string]any{"name": "a--b"}, false},
		"a separator at the end":     {map[string]any{"name": "a-"}, false},
		"an upper-case letter":       {map[string]any{"name": "App"}, false},
		"generateName without '-'":   {map[string]any{"generateName": "app"}, true},
		"generateName with '-'":      {map[string]any{"generateName": "app-"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := objects(t).Resource(streamResource).Namespace(namespace).Create(t.Context(), &unstructured.Unstructured{Object: map[string]any{
				"apiVersion": "image.openshift.io/v1", "kind": "ImageStream", "metadata": row.metadata,
			}}, metav1.CreateOptions{})
			if row.valid && err != nil || !row.valid && !apierrors.IsInvalid(err) {
				t.Errorf("it was answered %v, want valid: %t", err, row.valid)
			}
		})
	}
}

// An image API that is down answers 503 in plain text, which is no Status object, while the group
// stays listed.
func TestAnImageAPIThatIsDownAnswersInPlainText(t *testing.T) {
	want := outage{Status: http.StatusServiceUnavailable, Body: "service unavailable", Listed: true}
	if diff := cmp.Diff(want, down); diff != "" {
		t.Errorf("after the image API was stopped (-want +got):\n%s", diff)
	}
}

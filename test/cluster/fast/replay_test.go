package fast_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/revet-dev/revet/test/cluster/openshift"
)

// replay performs recorded steps on the emulation.
type replay struct {
	t        *testing.T
	images   *replicas
	client   dynamic.Interface
	host     string
	salt     string
	toRecord *strings.Replacer
}

// namespace is this run's for a recorded one, so that runs do not meet.
func (r *replay) namespace(recorded string) string { return recorded + "-" + r.salt }

func (r *replay) repository(recorded string) string {
	namespace, name, _ := strings.Cut(recorded, "/")
	return r.namespace(namespace) + "/" + name
}

func (r *replay) push(digest, target string) error {
	repository, tag, _ := strings.Cut(target, ":")
	return r.images.of(r.t, digest).push(r.t.Context(), r.host, r.repository(repository), tag)
}

func (r *replay) put(digest, target string) error {
	repository, tag, _ := strings.Cut(target, ":")
	return r.images.of(r.t, digest).put(r.t.Context(), r.host, r.repository(repository), tag)
}

func (r *replay) deleteTag(target string) error {
	repository, tag, _ := strings.Cut(target, ":")
	namespace, name, _ := strings.Cut(r.repository(repository), "/")
	return shared.OpenShift().DeleteTag(r.t.Context(), namespace, name, tag)
}

func (r *replay) streams(namespace string) dynamic.ResourceInterface {
	return r.client.Resource(streamResource).Namespace(r.namespace(namespace))
}

func (r *replay) createStream(namespace, name, spec string) error {
	object := map[string]any{"apiVersion": "image.openshift.io/v1", "kind": "ImageStream", "metadata": map[string]any{"name": name}}
	var parsed map[string]any
	if err := json.Unmarshal([]byte(spec), &parsed); err != nil {
		return err
	}
	object["spec"] = parsed
	_, err := r.streams(namespace).Create(r.t.Context(), &unstructured.Unstructured{Object: object}, metav1.CreateOptions{})
	return err
}

func (r *replay) patchStream(name, patch string, subresources ...string) error {
	_, err := r.streams("demo").Patch(r.t.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{}, subresources...)
	return err
}

func (r *replay) patchImage(digest, patch string) error {
	_, err := r.client.Resource(imageResource).Patch(r.t.Context(), r.images.of(r.t, digest).digest(),
		types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	return err
}

// moveHead changes the newest item of v1 in place, as step 34c did.
func (r *replay) moveHead(digest string) error {
	stream, err := r.streams("demo").Get(r.t.Context(), "app", metav1.GetOptions{})
	if err != nil {
		return err
	}
	for _, tag := range list(stream.Object, "status", "tags") {
		if text(tag, "tag") == "v1" {
			item := list(tag, "items")[0].(map[string]any)
			before := text(item, "image")
			item["image"] = r.images.of(r.t, digest).digest()
			item["dockerImageReference"] = strings.ReplaceAll(text(item, "dockerImageReference"), before, item["image"].(string))
		}
	}
	_, err = r.streams("demo").UpdateStatus(r.t.Context(), stream, metav1.UpdateOptions{})
	return err
}

// recorded brings what was seen here into the words of the recording.
func (r *replay) recorded(seen []change) []change {
	r.t.Helper()
	out := []change{}
	for _, c := range seen {
		data := r.toRecord.Replace(string(encode(r.t, c)))
		var translated change
		if err := json.Unmarshal([]byte(data), &translated); err != nil {
			r.t.Fatal(err)
		}
		out = append(out, neutral(translated))
	}
	return out
}

// of keeps what is of one resource. The recordings' order between resources means nothing, and that of two images in one
// step neither.
func ofKind(kind string, all []change) []change {
	out := []change{}
	for _, c := range all {
		if c.kind() == kind {
			out = append(out, neutral(c))
		}
	}
	if kind == "Image" {
		slices.SortStableFunc(out, func(a, b change) int { return cmp.Compare(a.name(), b.name()) })
	}
	return out
}

func newReplay(t *testing.T, all []recording) *replay {
	t.Helper()
	client, err := dynamic.NewForConfig(shared.RESTConfig())
	if err != nil {
		t.Fatal(err)
	}
	kube, err := kubernetes.NewForConfig(shared.RESTConfig())
	if err != nil {
		t.Fatal(err)
	}
	namespace, err := kube.CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "replay-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	salt := strings.TrimPrefix(namespace.Name, "replay-")
	r := &replay{t: t, images: newReplicas(salt, all), client: client, host: shared.Registry().Addr(), salt: salt}
	for _, recorded := range []string{"demo", "demo2"} {
		_, err := kube.CoreV1().Namespaces().Create(t.Context(),
			&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: r.namespace(recorded)}}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// translate is made anew for each step, as images are made when they are first used.
func (r *replay) translate() {
	pairs := []string{openshift.DefaultInCluster, recordedHost, r.namespace("demo2"), "demo2", r.namespace("demo"), "demo"}
	for local, recorded := range r.images.names {
		if local != emptyObject {
			pairs = append(pairs, local, recorded)
		}
	}
	r.toRecord = strings.NewReplacer(pairs...)
}

// The emulation's objects change as the real ones did: each event of each step, object by object, with everything in them
// but identities, versions, times and digests.
func TestReplayedStepsChangeObjectsAsRecorded(t *testing.T) {
	all := recordings(t)
	bySteps := map[string]recording{}
	for _, rec := range all {
		bySteps[rec.Step] = rec
	}
	r := newReplay(t, all)
	streams := follow(t, r.client, streamResource, "ImageStream", "default")
	images := follow(t, r.client, imageResource, "Image", "")
	steps := replaySteps(r)
	for i, s := range steps {
		if err := s.do(); err != nil {
			t.Fatalf("step %q: %v", s.name, err)
		}
		mark := fmt.Sprintf("mark-%s-%d", r.salt, i)
		r.translate()
		seenStreams := r.recorded(streams.until(t.Context(), t, mark))
		seenImages := r.recorded(images.until(t.Context(), t, mark))
		rec, isRecorded := bySteps[s.name]
		if !isRecorded {
			if s.silent && len(seenStreams)+len(seenImages) > 0 {
				t.Errorf("step %q changed objects, and must not:\n%v\n%v", s.name, seenStreams, seenImages)
			}
			continue
		}
		delete(bySteps, s.name)
		if diff := gocmp.Diff(ofKind("ImageStream", rec.Events), ofKind("ImageStream", seenStreams)); diff != "" {
			t.Errorf("step %q: streams (-recorded +here):\n%s", s.name, diff)
		}
		if diff := gocmp.Diff(ofKind("Image", rec.Events), ofKind("Image", seenImages)); diff != "" {
			t.Errorf("step %q: images (-recorded +here):\n%s", s.name, diff)
		}
	}
	for step := range bySteps {
		if _, ok := notReplayed[step]; !ok {
			t.Errorf("recorded step %q is neither replayed nor listed with the reason why not", step)
		}
	}
}

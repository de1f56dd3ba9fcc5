package fast_test

import (
	"errors"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// step is one action. Steps whose name is a recording's are compared with it; the others bring about what happened
// between the recordings, and silent ones must change nothing.
type step struct {
	name   string
	silent bool
	do     func() error
}

// notReplayed are the recorded steps that the emulation cannot perform, or that do not touch it.
var notReplayed = map[string]string{
	"16f-image-signature":             "image signatures are not served",
	"21-import-ok":                    "imports are not emulated",
	"21c-import-upstream-changed":     "imports are not emulated",
	"21e-import-image-already-pushed": "imports are not emulated",
	"22-import-fail-notfound":         "imports are not emulated",
	"22c-import-fail-existing-tag":    "imports are not emulated",
	"22e-import-unreachable":          "imports are not emulated",
	"23-import-multiarch-legacy":      "imports are not emulated",
	"23b-import-multiarch-preserve":   "imports are not emulated",
	"24-import-repository":            "imports are not emulated",
	"50-ctl-spec-tag-import":          "imports are not emulated",
	"51-ctl-spec-tag-import-fails":    "imports are not emulated",
	"52-ctl-scheduled-import-first":   "imports are not emulated",
	"34d-history-pruned-tail":         "a history of 31 pushes whose digests were not recorded",
}

// Recorded images, by the beginning of their digests.
const (
	imageA, imageB, imageC, imageD, imageE = "cb61bde6", "c4237252", "9d5b34f7", "ab0f3bc9", "22f7fbda"

	armChild, ociIndex, dockerList, sparseIndex = "70c63ec3", "0776ac4c", "52799613", "831f5576"
	dockerImage, labelled                       = "d2157fb8", "875fa3b3"
	signature, attestation, sbom                = "5291d841", "c13447d5", "893706f7"
	cosignShape, emptyConfig                    = "06c6c646", "bdcb8fea"
)

// signatureTag is the tag under which image B's signature was pushed; the digest in it is text to everybody here.
const signatureTag = "sha256-c42372529aa8848a9587087db431a51a6e0f64261c632d3659e1359d1bf20262"

func replaySteps(r *replay) []step {
	push := func(digest, target string) func() error { return func() error { return r.push(digest, target) } }
	// put does not look first whether the registry has the image.
	put := func(digest, target string) func() error { return func() error { return r.put(digest, target) } }
	patch := func(p string) func() error { return func() error { return r.patchStream("app", p) } }
	deleteTag := func(target string) func() error { return func() error { return r.deleteTag(target) } }
	var steps []step
	steps = append(steps, pushSteps(r, push, put, deleteTag)...)
	steps = append(steps, editSteps(r, push, patch)...)
	return append(steps, laterSteps(r, push, put, patch, deleteTag)...)
}

type pushTo func(digest, target string) func() error

func pushSteps(r *replay, push, put pushTo, deleteTag func(string) func() error) []step {
	return []step{
		{name: "01-first-push-new-stream", do: push(imageA, "demo/app:latest")},
		{name: "02-second-push-new-digest", do: push(imageB, "demo/app:latest")},
		{name: "the same push again", silent: true, do: push(imageB, "demo/app:latest")},
		{name: "the same push again, without looking first", silent: true, do: put(imageB, "demo/app:latest")},
		{name: "04-same-digest-other-tag", do: push(imageB, "demo/app:v1")},
		{name: "05-existing-image-other-stream", do: push(imageB, "demo/other:latest")},
		{name: "05b-existing-image-other-namespace-mount", do: push(imageB, "demo2/copy:latest")},
		{name: "06-rollback-push-older-digest", do: push(imageA, "demo/app:latest")},
		{name: "07-crane-tag-api", do: push(imageA, "demo/app:v2")},
		{name: "10-docker-schema2", do: push(dockerImage, "demo/dk:latest")},
		{name: "11-skopeo-oci", do: push(imageC, "demo/sk:1")},
		{name: "11b-skopeo-multi-all", do: func() error {
			return errors.Join(r.push(imageA, "demo/sk"), r.push(armChild, "demo/sk"), r.push(ociIndex, "demo/sk:multi"))
		}},
		{name: "12-push-by-digest-only", do: push(imageD, "demo/app")},
		{name: "a push of v3", do: push(imageD, "demo/app:v3")},
		{name: "13-labels-config", do: push(labelled, "demo/lab:latest")},
		{name: "14-tag-delete-istag", do: deleteTag("demo/app:v2")},
		{name: "a push of what the deleted tag had", do: push(imageA, "demo/app:v2")},
		{name: "15-cosign-sig-tag", do: push(signature, "demo/app:"+signatureTag+".sig")},
		{name: "15b-cosign-att-sbom-tags", do: func() error {
			return errors.Join(r.push(attestation, "demo/app:"+signatureTag+".att"), r.push(sbom, "demo/app:"+signatureTag+".sbom"))
		}},
	}
}

func editSteps(r *replay, push pushTo, patch func(string) func() error) []step {
	pin := func(digest string) func() error {
		return func() error {
			return r.patchStream("app", strings.NewReplacer("NAMESPACE", r.namespace("demo"), "DIGEST", r.images.of(r.t, digest).digest()).Replace(
				`{"spec":{"tags":[{"name":"pinned","from":{"kind":"ImageStreamImage","namespace":"NAMESPACE","name":"app@DIGEST"}},`+
					`{"name":"stable","from":{"kind":"ImageStreamTag","name":"latest"}}]}}`))
		}
	}
	return []step{
		{name: "16-annotate-stream", do: patch(`{"metadata":{"annotations":{"note":"one"}}}`)},
		{name: "16b-label-stream", do: patch(`{"metadata":{"labels":{"team":"x"}}}`)},
		{name: "16c-annotate-image", do: func() error {
			return errors.Join(r.patchImage(imageB, `{"metadata":{"annotations":{"scan":"done"}}}`),
				r.patchImage(imageB, `{"metadata":{"labels":{"scanned":"yes"}}}`))
		}},
		{name: "16d-noop-annotate", do: patch(`{"metadata":{"annotations":{"note":"one"}}}`)},
		{name: "16e-lookup-policy", do: patch(`{"spec":{"lookupPolicy":{"local":true}}}`)},
		{name: "17-spec-tag-alias-same-stream", do: patch(`{"spec":{"tags":[{"name":"stable","from":{"kind":"ImageStreamTag","name":"latest"}}]}}`)},
		{name: "17b-push-moves-alias", do: push(imageC, "demo/app:latest")},
		{name: "a push of the alias itself", do: push(imageE, "demo/app:stable")},
		{name: "a push of what it follows", do: push(imageB, "demo/app:latest")},
		{name: "18-spec-tag-pin-isimage", do: pin(imageA)},
		{name: "18b-spec-tag-repoint", do: pin(imageB)},
		{name: "19-cross-ns-alias", do: func() error {
			return r.createStream("demo2", "prod", strings.ReplaceAll(
				`{"tags":[{"name":"latest","from":{"kind":"ImageStreamTag","namespace":"NAMESPACE","name":"app:latest"}}]}`, "NAMESPACE", r.namespace("demo")))
		}},
		{name: "a push of what was resolved once in another namespace", do: push(imageC, "demo/app:latest")},
		{name: "20-spec-tag-external-reference", do: func() error {
			return r.createStream("demo", "ext", `{"tags":[{"name":"byref","from":{"kind":"DockerImage","name":"127.0.0.1:25001/src/a:v"},"reference":true}]}`)
		}},
		{name: "20b-spec-tag-external-import-nocontroller", do: func() error {
			return r.patchStream("ext", `{"spec":{"tags":[{"name":"byref","from":{"kind":"DockerImage","name":"127.0.0.1:25001/src/a:v"},"reference":true},`+
				`{"name":"tracked","from":{"kind":"DockerImage","name":"127.0.0.1:25001/src/a:v"},"importPolicy":{"insecure":true}}]}}`)
		}},
		{name: "09b-multiarch-docker-list-precreated", do: func() error {
			return errors.Join(r.createStream("demo", "multidk", `{}`), r.push(imageA, "demo/multidk"), r.push(armChild, "demo/multidk"),
				r.push(dockerList, "demo/multidk:latest"))
		}},
		{name: "a push of another image", do: push("ab649a", "demo/skm:latest")},
		{name: "11d-skopeo-multi-index-only", do: push(ociIndex, "demo/skm:sparse")},
	}
}

func laterSteps(r *replay, push, put pushTo, patch, deleteTag func(string) func() error) []step {
	return []step{
		{name: "33-oci-artifact-real-cosign-shape", do: push(cosignShape, "demo/art:"+signatureTag+".sig")},
		{name: "33b-oci-artifact-empty-config", do: push(emptyConfig, "demo/art:artifact")},
		{name: "34-spec-tag-removed-by-edit", do: patch(`{"spec":{"tags":null}}`)},
		{name: "34c-status-subresource", do: func() error { return r.moveHead(imageC) }},
		{name: "35-image-delete", do: func() error {
			return r.client.Resource(imageResource).Delete(r.t.Context(), r.images.of(r.t, imageE).digest(), metav1.DeleteOptions{})
		}},
		{name: "36-stream-delete", do: func() error {
			return r.streams("demo").Delete(r.t.Context(), "other", metav1.DeleteOptions{})
		}},
		{name: "a push of an image whose object was deleted", do: push(imageE, "demo/app:stable")},
		{name: "37-empty-stream-create", do: func() error { return r.createStream("demo", "empty", `{}`) }},
		{name: "37b-push-into-empty", do: push(imageA, "demo/empty:latest")},
		{name: "38-delete-last-tag", do: deleteTag("demo/empty:latest")},
		{name: "a push of an index", do: push("0bb0a6de", "demo/multi:latest")},
		{name: "a push of another", do: push("77b5749c", "demo/multi:latest")},
		{name: "08i-sparse-index-unknown-children", do: push(sparseIndex, "demo/multi:sparse")},
		{name: "the same push after a change of the spec", do: put(imageC, "demo/app:latest")},
		{name: "16g-bump-generation", do: patch(`{"spec":{"lookupPolicy":{"local":false}}}`)},
		{name: "the same push after another", do: put(imageC, "demo/app:latest")},
		{name: "53b-trigger-push", do: push(imageD, "demo/app:latest")},
		{name: "53f-trigger-tag-deleted", do: deleteTag("demo/app:v3")},
	}
}

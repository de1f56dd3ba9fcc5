package rig

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	imagev1 "github.com/openshift/api/image/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

const dockerImage = "application/vnd.docker.distribution.manifest.v2+json"

// DigestOf is the digest of a content.
func DigestOf(content string) string {
	sum := sha256.Sum256([]byte(content))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// NewImage is an Image object as a push of something that runs makes it, for what writes objects without a registry.
func NewImage(digest, reference string) *imagev1.Image {
	image := &imagev1.Image{
		ObjectMeta: metav1.ObjectMeta{Name: digest, Annotations: map[string]string{
			imagev1.ManagedByOpenShiftAnnotation: "true", imagev1.DockerImageLayersOrderAnnotation: imagev1.DockerImageLayersOrderAscending,
		}},
		DockerImageReference: reference, DockerImageMetadataVersion: "1.0", DockerImageManifestMediaType: dockerImage,
	}
	for n := range 5 {
		image.DockerImageLayers = append(image.DockerImageLayers, imagev1.ImageLayer{
			Name: DigestOf(fmt.Sprintf("%s layer %d", digest, n)), LayerSize: 1 << 20, MediaType: "application/vnd.docker.image.rootfs.diff.tar.gzip",
		})
	}
	metadata := map[string]any{
		"kind": "DockerImage", "apiVersion": "image.openshift.io/1.0", "Id": DigestOf(digest), "Created": "2026-11-20T12:00:00Z",
		"Architecture": "amd64", "Size": 5 << 20,
		"Config": map[string]any{
			"User": "1001", "Entrypoint": []string{"/app"}, "Env": []string{"PATH=/usr/bin:/bin"},
			"Labels": map[string]string{"org.opencontainers.image.source": "https://example.com/app"},
		},
	}
	raw, err := json.Marshal(metadata)
	if err != nil {
		panic(err) // maps of strings have a JSON form
	}
	image.DockerImageMetadata = runtime.RawExtension{Raw: raw}
	return image
}

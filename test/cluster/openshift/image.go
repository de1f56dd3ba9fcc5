package openshift

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/openshift/api/image/docker10"
	imagev1 "github.com/openshift/api/image/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// errUnreadable is content that is not what its media type says.
var errUnreadable = errors.New("the pushed content cannot be read")

// manifest is what the registry has for a digest.
type manifest struct {
	digest    v1.Hash
	mediaType types.MediaType
	raw       []byte
	// config is empty for an index.
	config []byte
}

// content is what an image manifest and an index have that an Image shows.
type content struct {
	Config    v1.Descriptor   `json:"config"`
	Layers    []v1.Descriptor `json:"layers"`
	Manifests []v1.Descriptor `json:"manifests"`
}

// configFile is the part of an image's configuration that an Image shows.
type configFile struct {
	Created         metav1.Time            `json:"created"`
	Author          string                 `json:"author"`
	Architecture    string                 `json:"architecture"`
	Parent          string                 `json:"parent"`
	Comment         string                 `json:"comment"`
	Container       string                 `json:"container"`
	DockerVersion   string                 `json:"docker_version"`
	ContainerConfig docker10.DockerConfig  `json:"container_config"`
	Config          *docker10.DockerConfig `json:"config"`
}

// newImage makes the Image of a pushed manifest.
func newImage(m manifest, reference string, now time.Time) (*imagev1.Image, error) {
	var c content
	if err := json.Unmarshal(m.raw, &c); err != nil {
		return nil, fmt.Errorf("%w: manifest %s: %w", errUnreadable, m.digest, err)
	}
	image := &imagev1.Image{
		ObjectMeta: metav1.ObjectMeta{
			Name: m.digest.String(),
			Annotations: map[string]string{
				imagev1.ManagedByOpenShiftAnnotation:      "true",
				imagev1.ImageManifestBlobStoredAnnotation: "true",
			},
		},
		DockerImageReference:         reference,
		DockerImageMetadataVersion:   "1.0",
		DockerImageManifestMediaType: string(m.mediaType),
	}
	var metadata docker10.DockerImage
	var err error
	if m.mediaType.IsIndex() {
		metadata = indexMetadata(image, m, c, now)
	} else if metadata, err = imageMetadata(image, m, c); err != nil {
		return nil, err
	}
	metadata.TypeMeta = metav1.TypeMeta{Kind: "DockerImage", APIVersion: docker10.GroupVersion.String()}
	raw, err := json.Marshal(metadata)
	if err != nil {
		return nil, fmt.Errorf("encoding the metadata of %s: %w", m.digest, err)
	}
	image.DockerImageMetadata = runtime.RawExtension{Raw: raw}
	return image, nil
}

func indexMetadata(image *imagev1.Image, m manifest, c content, now time.Time) docker10.DockerImage {
	image.Annotations[imagev1.DockerImageLayersOrderAnnotation] = ""
	for _, child := range c.Manifests {
		entry := imagev1.ImageManifest{Digest: child.Digest.String(), MediaType: string(child.MediaType), ManifestSize: child.Size}
		if p := child.Platform; p != nil {
			entry.Architecture, entry.OS, entry.Variant = p.Architecture, p.OS, p.Variant
		}
		image.DockerImageManifests = append(image.DockerImageManifests, entry)
	}
	return docker10.DockerImage{ID: m.digest.String(), Created: metav1.NewTime(now.Truncate(time.Second))}
}

func imageMetadata(image *imagev1.Image, m manifest, c content) (docker10.DockerImage, error) {
	image.Annotations[imagev1.DockerImageLayersOrderAnnotation] = imagev1.DockerImageLayersOrderAscending
	size := c.Config.Size
	for _, layer := range c.Layers {
		size += layer.Size
		image.DockerImageLayers = append(image.DockerImageLayers, imagev1.ImageLayer{
			Name: layer.Digest.String(), LayerSize: layer.Size, MediaType: string(layer.MediaType),
		})
	}
	var f configFile
	if err := json.Unmarshal(m.config, &f); err != nil && c.Config.MediaType.IsConfig() {
		return docker10.DockerImage{}, fmt.Errorf("%w: configuration of %s: %w", errUnreadable, m.digest, err)
	}
	return docker10.DockerImage{
		ID: c.Config.Digest.String(), Parent: f.Parent, Comment: f.Comment, Created: f.Created, Container: f.Container,
		ContainerConfig: f.ContainerConfig, DockerVersion: f.DockerVersion, Author: f.Author, Config: f.Config,
		Architecture: f.Architecture, Size: size,
	}, nil
}

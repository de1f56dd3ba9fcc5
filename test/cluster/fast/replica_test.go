package fast_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// emptyObject is the digest of "{}", the configuration of artefacts.
const emptyObject = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"

var anyDigest = regexp.MustCompile(`sha256:[0-9a-f]{64}`)

// replica is a local image of the shape of a recorded one. Its content has the same length where the recording tells it,
// so that sizes agree; only digests differ.
type replica struct {
	mediaType types.MediaType
	raw       []byte
	blobs     map[types.MediaType][][]byte
}

func (r replica) RawManifest() ([]byte, error)        { return r.raw, nil }
func (r replica) MediaType() (types.MediaType, error) { return r.mediaType, nil }
func (r replica) digest() string                      { return digestOf(r.raw) }
func (r *replica) add(m types.MediaType, blob []byte) { r.blobs[m] = append(r.blobs[m], blob) }
func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// replicas makes and remembers local images for recorded digests.
type replicas struct {
	salt     string
	recorded map[string]map[string]any // Image objects by digest
	digests  []string                  // all that occur anywhere
	made     map[string]replica
	// names maps what is local to what was recorded.
	names map[string]string
}

func newReplicas(salt string, all []recording) *replicas {
	r := &replicas{salt: salt, recorded: map[string]map[string]any{}, made: map[string]replica{}, names: map[string]string{}}
	for _, rec := range all {
		for _, c := range rec.Events {
			r.digests = append(r.digests, anyDigest.FindAllString(fmt.Sprint(c.Object), -1)...)
			if c.kind() == "Image" {
				r.recorded[c.name()] = c.Object
			}
		}
	}
	return r
}

// of makes the replica of a recorded digest, which may be given by its beginning.
func (r *replicas) of(t *testing.T, digest string) replica {
	t.Helper()
	i := slices.IndexFunc(r.digests, func(full string) bool { return strings.HasPrefix(full, "sha256:"+digest) })
	if i < 0 {
		t.Fatalf("no recording has a digest that begins with %q", digest)
	}
	digest = r.digests[i]
	if made, ok := r.made[digest]; ok {
		return made
	}
	object := r.recorded[digest]
	made := replica{mediaType: types.MediaType(text(object, "dockerImageManifestMediaType")), blobs: map[types.MediaType][][]byte{}}
	switch {
	case object == nil: // never shown by the recordings as an object: its shape does not matter
		made.mediaType = types.OCIManifestSchema1
		made.raw = r.manifest(t, &made, map[string]any{"dockerImageMetadata": map[string]any{"Config": map[string]any{"Cmd": []any{digest}}}})
	case made.mediaType.IsIndex():
		made.raw = r.index(t, made.mediaType, object)
	default:
		made.raw = r.manifest(t, &made, object)
	}
	r.made[digest] = made
	r.names[made.digest()] = digest
	return made
}

func (r *replicas) index(t *testing.T, mediaType types.MediaType, object map[string]any) []byte {
	t.Helper()
	var children []map[string]any
	for _, m := range list(object, "dockerImageManifests") {
		child := r.of(t, strings.TrimPrefix(text(m, "digest"), "sha256:"))
		children = append(children, map[string]any{
			"mediaType": text(m, "mediaType"), "digest": child.digest(), "size": at(m, "manifestSize"),
			"platform": map[string]any{"architecture": text(m, "architecture"), "os": text(m, "os")},
		})
	}
	return encode(t, map[string]any{"schemaVersion": 2, "mediaType": mediaType, "manifests": children})
}

func (r *replicas) manifest(t *testing.T, made *replica, object map[string]any) []byte {
	t.Helper()
	configType, layerSum := types.OCIConfigJSON, 0
	if made.mediaType == types.DockerManifestSchema2 {
		configType = types.DockerConfigJSON
	}
	layers := []map[string]any{}
	for i, l := range list(object, "dockerImageLayers") {
		blob := padded(fmt.Sprintf("%s %d %s", r.salt, i, text(l, "name")), number(l, "size"))
		mediaType := types.MediaType(text(l, "mediaType"))
		made.add(mediaType, blob)
		layerSum += len(blob)
		layers = append(layers, descriptor(mediaType, blob))
		r.names[digestOf(blob)] = text(l, "name")
	}
	config := []byte("{}")
	id := text(object, "dockerImageMetadata", "Id")
	if id != emptyObject {
		config = r.config(t, object, number(object, "dockerImageMetadata", "Size")-layerSum)
		r.names[digestOf(config)] = id
	}
	made.add(configType, config)
	return encode(t, map[string]any{
		"schemaVersion": 2, "mediaType": made.mediaType, "config": descriptor(configType, config), "layers": layers,
		"annotations": map[string]string{"replica.of": r.salt + text(object, "metadata", "name")},
	})
}

// config is padded with blanks, which JSON allows, to the recorded length.
func (r *replicas) config(t *testing.T, object map[string]any, size int) []byte {
	t.Helper()
	file := map[string]any{}
	if c := at(object, "dockerImageMetadata", "Config"); c != nil {
		file["config"] = c
	}
	if a := text(object, "dockerImageMetadata", "Architecture"); a != "" {
		file["architecture"] = a
	}
	plain := encode(t, file)
	file["variant"] = r.salt + text(object, "metadata", "name") // makes it this image's, where there is room
	if own := encode(t, file); len(own) <= size {
		plain = own
	}
	return padded(string(plain), size)
}

func padded(s string, size int) []byte {
	if len(s) > size && size > 0 {
		return []byte(s[:size])
	}
	return []byte(s + strings.Repeat(" ", max(0, size-len(s))))
}

func number(v any, path ...string) int {
	f, _ := at(v, path...).(float64)
	return int(f)
}

func descriptor(m types.MediaType, blob []byte) map[string]any {
	return map[string]any{"mediaType": m, "digest": digestOf(blob), "size": len(blob)}
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// push pushes as crane and skopeo do, who look first. An empty tag pushes by digest.
func (r replica) push(ctx context.Context, host, repository, tag string) error {
	pusher, ref, err := r.upload(ctx, host, repository, tag)
	if err != nil {
		return err
	}
	return pusher.Push(ctx, ref, r)
}

// put pushes without looking first.
func (r replica) put(ctx context.Context, host, repository, tag string) error {
	pusher, ref, err := r.upload(ctx, host, repository, tag)
	if err != nil {
		return err
	}
	return pusher.Put(ctx, ref, r)
}

func (r replica) upload(ctx context.Context, host, repository, tag string) (*remote.Pusher, name.Reference, error) {
	repo, err := name.NewRepository(host+"/"+repository, name.Insecure)
	if err != nil {
		return nil, nil, err
	}
	pusher, err := remote.NewPusher(remote.WithContext(ctx), remote.WithTransport(http.DefaultTransport))
	if err != nil {
		return nil, nil, err
	}
	for mediaType, blobs := range r.blobs {
		for _, blob := range blobs {
			if err := pusher.Upload(ctx, repo, static.NewLayer(blob, mediaType)); err != nil {
				return nil, nil, err
			}
		}
	}
	if tag == "" {
		return pusher, repo.Digest(r.digest()), nil
	}
	return pusher, repo.Tag(tag), nil
}

//go:build linux

package chaos

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
)

// The types of what is pushed.
const (
	manifestType = "application/vnd.docker.distribution.manifest.v2+json"
	configType   = "application/vnd.docker.container.image.v1+json"
	layerType    = "application/vnd.docker.image.rootfs.diff.tar.gzip"
)

// picture is a tiny image: a configuration of its own and a layer that all share.
type picture struct {
	digest                  string
	manifest, config, layer []byte
}

// layerOfAll is the layer of all images, compressed and not: a tar of one file. It has to unpack, or
// Revet would prove that the images do not run.
var layerOfAll = sync.OnceValues(func() (compressed, plain []byte) {
	var archive, zipped bytes.Buffer
	w := tar.NewWriter(&archive)
	content := []byte("the layer of all images")
	_ = w.WriteHeader(&tar.Header{Name: "app", Mode: 0o755, Size: int64(len(content)), Typeflag: tar.TypeReg}) // a buffer takes all
	_, _ = w.Write(content)
	_ = w.Close()
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write(archive.Bytes())
	_ = z.Close()
	return zipped.Bytes(), archive.Bytes()
})

// pictureOf makes image number n of a seed.
func pictureOf(seed uint64, n int) (picture, error) {
	layer, plain := layerOfAll()
	p := picture{layer: layer}
	var err error
	p.config, err = json.Marshal(map[string]any{
		"architecture": "amd64", "os": "linux", "created": "2026-11-20T12:00:00Z",
		"config": map[string]any{"User": "1001", "Entrypoint": []string{"/app"}, "Labels": map[string]string{"chaos": fmt.Sprintf("seed %d image %d", seed, n)}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{digestOf(plain)}},
	})
	if err != nil {
		return p, err
	}
	p.manifest, err = json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": manifestType,
		"config": map[string]any{"mediaType": configType, "size": len(p.config), "digest": digestOf(p.config)},
		"layers": []any{map[string]any{"mediaType": layerType, "size": len(p.layer), "digest": digestOf(p.layer)}},
	})
	p.digest = digestOf(p.manifest)
	return p, err
}

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// pusher pushes a script's pushes.
type pusher struct {
	seed     uint64
	registry name.Registry
	client   *http.Client
	timeline *timeline

	mu   sync.Mutex
	done []acknowledged
	// direct says that objects are written, and nothing is pushed to the registry.
	direct bool
}

func newPusher(seed uint64, address string, tl *timeline) (*pusher, error) {
	registry, err := name.NewRegistry(address, name.Insecure)
	return &pusher{seed: seed, registry: registry, client: &http.Client{}, timeline: tl}, err
}

const (
	// pushTimeout is longer than the registry waits for its objects.
	pushTimeout = 15 * time.Second
	pushAgain   = 300 * time.Millisecond
)

// all makes the pushes: those to one stream one after another, those to different streams side by side. It returns when
// each was acknowledged.
func (p *pusher) all(ctx context.Context, pushes []Push) error {
	streams := map[int][]Push{}
	for _, push := range pushes {
		streams[push.Stream] = append(streams[push.Stream], push)
	}
	began := time.Now()
	var workers sync.WaitGroup
	for _, mine := range streams {
		workers.Go(func() {
			for _, push := range mine {
				if !sleep(ctx, time.Until(began.Add(push.At))) {
					return
				}
				p.until(ctx, push)
			}
		})
	}
	workers.Wait()
	return ctx.Err()
}

// until pushes until the registry acknowledges it, as a client does.
func (p *pusher) until(ctx context.Context, push Push) {
	namespace, stream := repository(push.Stream)
	a := acknowledged{Repository: namespace + "/" + stream, Tag: tagName(push.Tag)}
	for attempt := 1; ; attempt++ {
		image, err := pictureOf(p.seed, push.Image)
		if err == nil {
			a.Digest = image.digest
			err = p.once(ctx, a, image)
		}
		if err == nil {
			p.timeline.note("push", "%-8s %s:%s %s, attempt %d", push.Kind, a.Repository, a.Tag, a.Digest, attempt)
			p.acknowledge(a)
			return
		}
		if attempt == 1 {
			p.timeline.note("refused", "%s:%s %s: %v", a.Repository, a.Tag, a.Digest, err)
		}
		if !sleep(ctx, pushAgain) {
			return
		}
	}
}

func (p *pusher) once(ctx context.Context, a acknowledged, image picture) error {
	ctx, cancel := context.WithTimeout(ctx, pushTimeout)
	defer cancel()
	repo := p.registry.Repo(a.Repository)
	for _, blob := range []v1.Layer{static.NewLayer(image.layer, layerType), static.NewLayer(image.config, configType)} {
		if err := remote.WriteLayer(repo, blob, remote.WithContext(ctx), remote.WithRetryBackoff(remote.Backoff{Steps: 1})); err != nil {
			return fmt.Errorf("pushing a blob: %w", err)
		}
	}
	// Not by remote.Write: it asks first whether the tag has the manifest already, and this registry says yes although
	// its objects could not be written. On OpenShift, where tags are read from the objects, it would say no.
	url := fmt.Sprintf("http://%s/v2/%s/manifests/%s", p.registry.Name(), a.Repository, a.Tag)
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, url, bytes.NewReader(image.manifest))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", manifestType)
	response, err := p.client.Do(request)
	if err != nil {
		return fmt.Errorf("pushing the manifest: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusCreated {
		answer, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10))
		return fmt.Errorf("pushing the manifest: %s: %s", response.Status, answer)
	}
	return nil
}

func (p *pusher) acknowledge(a ...acknowledged) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done = append(p.done, a...)
}

func (p *pusher) acknowledged() []acknowledged {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]acknowledged(nil), p.done...)
}

// sleep says no if the context ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

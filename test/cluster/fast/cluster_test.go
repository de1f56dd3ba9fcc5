package fast_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"k8s.io/client-go/rest"

	"github.com/revet-dev/revet/test/cluster/fast"
	"github.com/revet-dev/revet/test/cluster/openshift/imageapi"
)

// shared is the cluster of this package's tests: a start costs seconds, and tests use namespaces of their own.
var shared *fast.Cluster

// survivor was pushed to a cluster that ran before shared, with the same registry directory.
var survivor struct{ repository, digest string }

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "revet-fast-test-")
	if err == nil {
		defer os.RemoveAll(dir)
		err = before(filepath.Join(dir, "registry"))
	}
	if err == nil {
		began := time.Now()
		shared, err = fast.Start(context.Background(), fast.Options{
			Registry: &fast.RegistryOptions{Dir: filepath.Join(dir, "registry"), PushTimeout: 5 * time.Second},
		})
		fmt.Printf("the cluster was ready after %v\n", time.Since(began).Round(time.Millisecond))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if err := shared.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// before runs a first cluster, in which an image is pushed: clusters can be started one after another, and a registry
// outlives the objects that told of its pushes.
func before(registryDir string) error {
	first, err := fast.Start(context.Background(), fast.Options{Registry: &fast.RegistryOptions{Dir: registryDir}})
	if err != nil {
		return err
	}
	img, err := random.Image(64, 1)
	if err != nil {
		return errors.Join(err, first.Stop())
	}
	digest, err := img.Digest()
	if err != nil {
		return errors.Join(err, first.Stop())
	}
	survivor.repository, survivor.digest = "survivor/app", digest.String()
	ref, err := parse(first.Registry().Addr(), survivor.repository+":latest")
	if err != nil {
		return errors.Join(err, first.Stop())
	}
	// Its namespace does not exist: the registry takes the image, and no object tells of it.
	err = remote.Write(ref, img)
	if err == nil {
		down, err = stopImageAPI(first)
	}
	return errors.Join(err, first.Stop())
}

// outage is what clients see of an image API that is down.
type outage struct {
	Status int
	Body   string
	Listed bool
}

// down is what they saw once the API server had noticed.
var down outage

// downPatience is many times what the API server needs to notice.
const downPatience = 20 * time.Second

// stopImageAPI stops the image API alone.
func stopImageAPI(c *fast.Cluster) (seen outage, err error) {
	if err := errors.Join(c.Registry().Stop(), c.OpenShift().Stop()); err != nil {
		return seen, err
	}
	client, err := rest.HTTPClientFor(c.RESTConfig())
	if err != nil {
		return seen, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), downPatience)
	defer cancel()
	get := func(path string) (status int, body string, err error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.RESTConfig().Host+path, nil)
		if err != nil {
			return 0, "", err
		}
		answer, err := client.Do(r)
		if err != nil {
			return 0, "", err
		}
		defer func() { _ = answer.Body.Close() }()
		content, err := io.ReadAll(answer.Body)
		return answer.StatusCode, strings.TrimSpace(string(content)), err
	}
	for ctx.Err() == nil && seen.Body != "service unavailable" {
		if seen.Status, seen.Body, err = get("/apis/image.openshift.io/v1/imagestreams"); err != nil {
			return seen, err
		}
		if err := imageapi.Nudge(ctx, c.RESTConfig()); err != nil {
			return seen, err
		}
	}
	_, groups, err := get("/apis")
	seen.Listed = strings.Contains(groups, "image.openshift.io")
	return seen, err
}

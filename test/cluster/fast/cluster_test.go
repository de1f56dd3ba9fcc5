package fast_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/revet-dev/revet/test/cluster/fast"
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
	return errors.Join(remote.Write(ref, img), first.Stop())
}

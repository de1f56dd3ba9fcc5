package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/revet-dev/revet/pkg/attestation"
)

const (
	// keyInterval is how often the directory with the keys is read. The kubelet brings a
	// change of the Secret within a minute or so.
	keyInterval = 10 * time.Second
	// maxKeyBytes bounds what is read of one file. A longer one is refused as a key.
	maxKeyBytes = 64 << 10
)

var errNoKey = errors.New("there is no key")

// keyDirectory reads the keys of a mounted Secret again and again. What cannot be read leaves
// the last good keys in force: it must neither sign nor revoke anything.
type keyDirectory struct {
	dir string
	log *zap.Logger

	mu      sync.RWMutex
	ring    attestation.Ring
	problem error
}

// Ring returns the keys in force.
func (k *keyDirectory) Ring() attestation.Ring {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.ring
}

// Problems returns what is wrong with the directory now.
func (k *keyDirectory) Problems() []error {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if k.problem == nil {
		return nil
	}
	return []error{k.problem}
}

// run reads the directory until ctx ends, and calls changed after each change of the keys.
func (k *keyDirectory) run(ctx context.Context, changed func()) error {
	ticker := time.NewTicker(keyInterval)
	defer ticker.Stop()
	for {
		if k.read() {
			changed()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// read reads the directory, and reports whether the keys changed.
func (k *keyDirectory) read() bool {
	ring, err := readKeys(k.dir)
	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil {
		err = fmt.Errorf("the keys in %s are not valid, and the last valid ones stay in force: %w", k.dir, err)
		if k.problem == nil || k.problem.Error() != err.Error() {
			k.log.Error("reading the keys", zap.Error(err))
		}
		k.problem = err
		return false
	}
	changed, knew := !slices.Equal(ring.IDs(), k.ring.IDs()), k.problem
	if changed {
		k.log.Info("keys in force", zap.Strings("keys", ring.IDs()))
	}
	k.problem, k.ring = nil, ring
	if ring.Empty() {
		k.problem = fmt.Errorf("%w in %s; put one into the Secret revet-attestation-keys, under a name like 2026-11-30.pem", errNoKey, k.dir)
		if knew == nil || knew.Error() != k.problem.Error() {
			k.log.Info("nothing is signed", zap.Error(k.problem))
		}
	}
	return changed
}

// readKeys reads all files of a mounted Secret. A directory that is missing has none.
func readKeys(dir string) (attestation.Ring, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return attestation.Ring{}, nil
	}
	if err != nil {
		return attestation.Ring{}, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return attestation.Ring{}, err
	}
	defer func() { _ = root.Close() }() // nothing was written
	files := map[string][]byte{}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "..") { // how the kubelet swaps the content of a volume
			continue
		}
		if files[e.Name()], err = readKey(root, e.Name()); err != nil {
			return attestation.Ring{}, err
		}
	}
	return attestation.ParseRing(files)
}

func readKey(root *os.Root, name string) ([]byte, error) {
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // nothing was written
	return io.ReadAll(io.LimitReader(f, maxKeyBytes))
}

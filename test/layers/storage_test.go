package layers

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	graphdriver "go.podman.io/storage/drivers"
	"go.podman.io/storage/pkg/archive"
)

// storage unpacks as the layer store of containers/storage does: a layer for each,
// applied by its driver, and one above that is the container's.
type storage struct {
	name   string
	driver graphdriver.Driver
}

func (s storage) String() string { return s.name }

func (s storage) show(_ context.Context, id string, stored []blob) (shown tree, refused, err error) {
	var made []string
	defer func() {
		for len(made) > 0 && err == nil {
			last := made[len(made)-1]
			made = made[:len(made)-1]
			err = s.driver.Remove(last)
		}
	}()
	parent := ""
	for i, b := range stored {
		key := fmt.Sprintf("%s-%d", id, i)
		if err := s.driver.Create(key, parent, nil); err != nil {
			// vfs copies what is below, and cannot copy everything that it unpacked.
			return nil, fmt.Errorf("layer %d: %w", i+1, err), nil
		}
		made = append(made, key)
		if err := s.apply(key, b); err != nil {
			return nil, fmt.Errorf("layer %d: %w", i+1, err), nil
		}
		parent = key
	}
	if err := s.driver.CreateReadWrite(id, parent, nil); err != nil {
		return nil, fmt.Errorf("container: %w", err), nil
	}
	made = append(made, id)
	root, err := s.driver.Get(id, graphdriver.MountOpts{})
	if err != nil {
		return nil, fmt.Errorf("mount: %w", err), nil
	}
	shown, err = walk(root)
	if putErr := s.driver.Put(id); err == nil {
		err = putErr
	}
	return shown, nil, err
}

func (s storage) apply(id string, b blob) error {
	unpacked, err := archive.DecompressStream(bytes.NewReader(b.stored))
	if err != nil {
		return err
	}
	defer unpacked.Close()
	// A named pipe that a later layer replaces makes the vfs driver wait for a writer,
	// for ever. To whoever pulls the image that is a refusal.
	var hung atomic.Bool
	stop := time.AfterFunc(patience, func() {
		hung.Store(true)
		killUnpackers()
	})
	defer stop.Stop()
	_, err = s.driver.ApplyDiff(id, graphdriver.ApplyDiffOpts{Diff: unpacked})
	if hung.Load() {
		return fmt.Errorf("it did not end in %s: %w", patience, err)
	}
	return err
}

// patience is how long a runtime may take for a layer of a few bytes.
const patience = 2 * time.Second

// killUnpackers ends the processes in which containers/storage unpacks for this one.
func killUnpackers() {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return
	}
	for _, path := range stats {
		content, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		// "pid (name) state parent ...", and a name may hold spaces and brackets.
		_, rest, _ := strings.Cut(string(content[bytes.LastIndexByte(content, ')')+1:]), " ")
		fields := strings.Fields(rest)
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err == nil && len(fields) > 1 && fields[1] == strconv.Itoa(os.Getpid()) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

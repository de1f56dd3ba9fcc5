package nodeusage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Usage is what a Pod used since it was admitted. What the node does not tell is nil.
type Usage struct {
	CPU *time.Duration
	// PeakMemory is the most that its group was charged with at a time, in bytes,
	// the page cache of its files included.
	PeakMemory *int64
	// DiskRead and DiskWritten are what passed between block devices and memory, in
	// bytes. What a cache answered is not in them, nor what is in no file yet.
	DiskRead, DiskWritten *int64
	// Received and Sent are what passed the Pod's interface eth0, in bytes.
	Received, Sent *int64
}

// Reader reads one node. Version is that of the node's control groups, 1 or 2.
type Reader struct {
	Version int

	groups groups
	proc   string
	// roots are the groups of all Pods, below the mount that Pods are looked for in.
	roots []string
	// before are the Pods that the node had when the Reader was made.
	before map[string]string
}

// groups is one version of control groups.
type groups interface {
	// mount is where Pods are looked for.
	mount() string
	// read adds what the group at path, below mount, used.
	read(path string, u *Usage)
}

// errNoPods: the directory is not the control group hierarchy of a node.
var errNoPods = errors.New("it has no group of the kubelet's (kubepods); mount the node's /sys/fs/cgroup there")

// New returns a Reader of the control groups that are mounted at cgroup, and of the
// processes at proc, both the node's.
func New(cgroup, proc string) (*Reader, error) {
	r := &Reader{Version: 1, groups: newV1(cgroup), proc: proc}
	if _, err := os.Stat(filepath.Join(cgroup, "cgroup.controllers")); err == nil {
		r.Version, r.groups = 2, v2(cgroup)
	}
	err := filepath.WalkDir(r.groups.mount(), func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil && path != r.groups.mount():
			return nil // a group that has just ended
		case err != nil:
			return err
		case !d.IsDir():
			return nil
		case isRoot(d.Name()):
			r.roots = append(r.roots, r.below(path))
			return fs.SkipDir
		}
		return nil
	})
	if err == nil && len(r.roots) == 0 {
		err = errNoPods
	}
	if err != nil {
		return nil, fmt.Errorf("reading control groups at %s: %w", cgroup, err)
	}
	r.before = r.Pods()
	return r, nil
}

// isRoot recognises the group of all Pods, with either driver, nested or not.
func isRoot(name string) bool {
	return name == "kubepods" || name == "kubepods.slice" || strings.HasSuffix(name, "-kubepods.slice")
}

func (r *Reader) below(path string) string {
	rel, err := filepath.Rel(r.groups.mount(), path)
	if err != nil {
		return path
	}
	return rel
}

// podGroup is the name of a Pod's group: pod<UID>, or with systemd's driver
// kubepods-burstable-pod<UID>.slice, where dashes are underscores.
var podGroup = regexp.MustCompile(`(?:^|-)pod([0-9a-f]{8}[-_0-9a-f]{24,28})(?:\.slice)?$`)

// Pods returns the groups of the Pods that the node has, by UID.
func (r *Reader) Pods() map[string]string {
	pods := map[string]string{}
	for _, root := range r.roots {
		r.list(root, pods, true)
	}
	return pods
}

// list adds the Pods below a group, and with deeper those of the groups of classes
// of service.
func (r *Reader) list(group string, pods map[string]string, deeper bool) {
	entries, err := os.ReadDir(filepath.Join(r.groups.mount(), group))
	if err != nil {
		return // it has just ended
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		path := filepath.Join(group, e.Name())
		if m := podGroup.FindStringSubmatch(e.Name()); m != nil {
			pods[strings.ReplaceAll(m[1], "_", "-")] = path
		} else if deeper && (strings.Contains(e.Name(), "besteffort") || strings.Contains(e.Name(), "burstable")) {
			r.list(path, pods, false)
		}
	}
}

// Read returns what the Pod of a group used so far.
func (r *Reader) Read(group string) Usage {
	var u Usage
	r.groups.read(group, &u)
	r.readNetwork(group, &u)
	return u
}

package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// hidden are the directories that the cluster's namespace mounts something over.
var hidden = []string{"/run", "/var/run", "/var/log", "/var/lib/cni", "/var/lib/kubelet", "/proc", "/sys"}

// preflight says early, and with the cure, why the node tier cannot run here.
func preflight(o Options) error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: it makes namespaces, mounts and cgroups, for which it must be root: run this with sudo%s; %s",
			ErrUnsupported, alsoInstall(missingPackages(findProgram, o.Policies)), fastTier)
	}
	for _, dir := range hidden {
		if o.Cache == dir || strings.HasPrefix(o.Cache, dir+"/") {
			return fmt.Errorf("the cache directory %q is below %s, which the cluster mounts over: set REVET_CACHE to another", o.Cache, dir)
		}
	}
	all, err := hierarchies()
	if err != nil {
		return err
	}
	if missing := missingControllers(all); len(missing) > 0 {
		return fmt.Errorf("%w: the cgroup controllers %s are not mounted below /sys/fs/cgroup; %s", ErrUnsupported, strings.Join(missing, ", "), fastTier)
	}
	return nil
}

// alsoInstall says what root would be asked to install, or would install.
func alsoInstall(missing []string) string {
	if len(missing) == 0 {
		return ""
	}
	return ", which also runs `" + strings.Join(installCommand(missing), " ") + "`"
}

// missingControllers lists what the kubelet would not start without.
func missingControllers(all []hierarchy) []string {
	var missing []string
	for _, controller := range []string{"cpu", "cpuacct", "cpuset", "memory", "pids"} {
		if !mounted(all, controller) {
			missing = append(missing, controller)
		}
	}
	return missing
}

func mounted(all []hierarchy, controller string) bool {
	for _, h := range all {
		if h.v2 {
			data, err := os.ReadFile(filepath.Join(h.path, "cgroup.controllers"))
			// Version 2 accounts for processor time in its controller cpu.
			wanted := strings.TrimSuffix(controller, "acct")
			if err == nil && slices.Contains(strings.Fields(string(data)), wanted) {
				return true
			}
			continue
		}
		if slices.Contains(strings.Split(filepath.Base(h.path), ","), controller) {
			return true
		}
	}
	return false
}

// snapshotter is overlayfs unless the cache is on an overlay itself, as it is
// in most containers: overlays do not stack.
func snapshotter(cache string) string {
	var stat unix.Statfs_t
	if err := unix.Statfs(cache, &stat); err == nil && stat.Type == unix.OVERLAYFS_SUPER_MAGIC {
		return "native"
	}
	return "overlayfs"
}

var errPackages = errors.New("programs are missing")

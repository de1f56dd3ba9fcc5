package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// makeMounts gives the new mount namespace what the node's programs expect.
// Nothing of it is seen on the host: propagation to it is cut off first.
func makeMounts(c Config) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("cut mounts off from the host's: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	// Volumes that the kubelet mounts have to reach running containers.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("share mounts with containers: %w", err)
	}
	for _, dir := range []string{"/run", "/var/lib/cni", "/var/log"} {
		if err := mountPoint(dir); err != nil {
			return err
		}
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=755"); err != nil {
			return fmt.Errorf("mount a tmpfs on %q: %w", dir, err)
		}
	}
	if err := mountPoint("/var/lib/kubelet"); err != nil {
		return err
	}
	// Volumes of Pods may be large, so they are on disk and not in memory.
	if err := bind(c.file("kubelet"), "/var/lib/kubelet"); err != nil {
		return err
	}
	if err := shadowSettings(c); err != nil {
		return err
	}
	if err := bindResolver(c); err != nil {
		return err
	}
	return hideUnified()
}

func mountPoint(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make mount point: %w", err)
	}
	return nil
}

func bind(from, to string) error {
	if err := unix.Mount(from, to, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind %q to %q: %w", from, to, err)
	}
	return nil
}

// kernelSettings are what the kubelet sets for the whole machine.
var kernelSettings = map[string]string{
	"vm/overcommit_memory":      "1",
	"vm/panic_on_oom":           "0",
	"kernel/panic":              "10",
	"kernel/panic_on_oops":      "1",
	"kernel/keys/root_maxkeys":  "1000000",
	"kernel/keys/root_maxbytes": "25000000",
}

// shadowSettings shows the kubelet files that hold what it wants, in place of
// the settings themselves: how the machine handles a panic is not its business.
func shadowSettings(c Config) error {
	for setting, value := range kernelSettings {
		file := c.file("sysctl", filepath.Base(setting))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return fmt.Errorf("make directory of shadowed settings: %w", err)
		}
		if err := os.WriteFile(file, []byte(value+"\n"), 0o644); err != nil {
			return fmt.Errorf("write shadowed setting: %w", err)
		}
		err := bind(file, "/proc/sys/"+setting)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// bindResolver lets the node's own processes resolve Services.
func bindResolver(c Config) error {
	const resolver = "/etc/resolv.conf"
	target := resolver
	if link, err := os.Readlink(resolver); err == nil {
		// Its target was in /run, as a rule, and is hidden by now.
		if target = link; !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(resolver), link)
		}
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return fmt.Errorf("make directory of %q: %w", target, err)
		}
	}
	file, err := os.OpenFile(target, os.O_CREATE|os.O_RDONLY, 0o644)
	if err != nil {
		return fmt.Errorf("make %q: %w", target, err)
	}
	_ = file.Close()
	return bind(c.file("resolv.conf"), target)
}

// hideUnified takes the version 2 hierarchy away where version 1 is in use
// beside it: runc would take the mixture for version 2.
func hideUnified() error {
	all, err := hierarchies()
	if err != nil {
		return err
	}
	var unified string
	v1 := false
	for _, h := range all {
		if h.v2 {
			unified = h.path
		} else {
			v1 = true
		}
	}
	if !v1 || unified == "" {
		return nil
	}
	if err := unix.Unmount(unified, unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount %q: %w", unified, err)
	}
	return nil
}

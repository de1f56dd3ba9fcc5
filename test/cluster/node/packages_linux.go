package node

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// programs are what the node needs from the machine, with the Debian packages
// that bring them. A program from elsewhere is as good.
var programs = []struct {
	program, pkg string
	policies     bool // only for enforcing NetworkPolicies
}{
	{"containerd", "containerd", false},
	{"containerd-shim-runc-v2", "containerd", false},
	{"runc", "runc", false},
	{"iptables", "iptables", false},
	{"conntrack", "conntrack", false},
	{"nft", "nftables", false},
	{"ethtool", "ethtool", false},
	{"ipset", "ipset", true},
}

// networkPlugins are the places where network plug-ins are installed.
var networkPlugins = []string{"/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"}

const networkPackage = "containernetworking-plugins"

// missingPackages lists the packages to install.
func missingPackages(find func(program string) bool, policies bool) []string {
	var missing []string
	for _, p := range programs {
		if p.policies && !policies {
			continue
		}
		if !find(p.program) && !slices.Contains(missing, p.pkg) {
			missing = append(missing, p.pkg)
		}
	}
	if pluginDir() == "" {
		missing = append(missing, networkPackage)
	}
	return missing
}

// pluginDir is where the network plug-ins are; empty if nowhere.
func pluginDir() string {
	for _, dir := range networkPlugins {
		if _, err := os.Stat(filepath.Join(dir, "bridge")); err == nil {
			return dir
		}
	}
	return ""
}

// installPackages installs what is missing where it can, and else says how.
func installPackages(ctx context.Context, o Options, progress *console) error {
	loadModules(ctx)
	missing := missingPackages(findProgram, o.Policies)
	if len(missing) == 0 {
		return nil
	}
	install := installCommand(missing)
	if _, err := exec.LookPath("apt-get"); err != nil || o.KeepPackages {
		return fmt.Errorf("%w; on Debian, run `%s`, elsewhere install the like", errPackages, strings.Join(install, " "))
	}
	progress.say("installing Debian packages: %s", strings.Join(missing, " "))
	for _, command := range [][]string{{"apt-get", "update", "-q"}, install} {
		var output bytes.Buffer
		cmd := exec.CommandContext(ctx, command[0], command[1:]...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		cmd.Stdout, cmd.Stderr = &output, &output
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%q: %w: %s", strings.Join(command, " "), err, lastLines(output.String(), 5))
		}
	}
	if missing := missingPackages(findProgram, o.Policies); len(missing) > 0 {
		return fmt.Errorf("%w although packages were installed: %s", errPackages, strings.Join(missing, " "))
	}
	return nil
}

func installCommand(packages []string) []string {
	return append([]string{"apt-get", "install", "-y", "--no-install-recommends"}, packages...)
}

func findProgram(program string) bool {
	for _, dir := range []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"} {
		if info, err := os.Stat(filepath.Join(dir, program)); err == nil && info.Mode()&0o111 != 0 {
			return true
		}
	}
	return false
}

// loadModules loads what most kernels have as modules. That one is missing
// shows where it is used: it may as well be built in.
func loadModules(ctx context.Context) {
	for _, module := range []string{"overlay", "br_netfilter", "nf_tables", "xt_set"} {
		_ = exec.CommandContext(ctx, "modprobe", "-q", module).Run()
	}
}

// lastLines returns the end of a program's output, where its error is.
func lastLines(output string, n int) string {
	lines := strings.Split(strings.TrimSpace(output), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

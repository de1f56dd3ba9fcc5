// Package version says which build of Revet a program is.
package version

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
)

// release is set by the linker:
//
//	go build -ldflags "-X github.com/revet-dev/revet/pkg/version.release=v1.2.3"
var release string

// String returns the version of the running program, the commit that it was built from,
// if the build recorded one, and the toolchain: "v1.2.3 (0a1b2c3d4e5f) go1.26.0 linux/amd64".
func String() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	return describe(release, *info)
}

func describe(release string, info debug.BuildInfo) string {
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	name := release
	if name == "" {
		name = info.Main.Version
	}
	if name == "" || name == "(devel)" {
		name = "development"
	}
	if commit := settings["vcs.revision"]; commit != "" {
		commit = commit[:min(len(commit), 12)]
		if settings["vcs.modified"] == "true" {
			commit += ", modified"
		}
		name += " (" + commit + ")"
	}
	return strings.Join([]string{name, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}, " ")
}

// Requested reports whether a command line asks for the version: whether a flag of it is
// --version.
func Requested(args []string) bool {
	if end := slices.Index(args, "--"); end >= 0 {
		args = args[:end]
	}
	return slices.Contains(args, "--version") || slices.Contains(args, "-version")
}

// Print writes the line that a program answers --version with.
func Print(out io.Writer, program string) {
	fmt.Fprintf(out, "%s version %s\n", program, String())
}

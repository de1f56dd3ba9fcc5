package guard

import (
	"path"
	"strings"

	"github.com/revet-dev/revet/pkg/pipeline/layers"
)

// foreign are forms of package databases that Revet does not read.
var foreign = []struct {
	subject string
	is      func(name string) bool
}{
	{"chisel", func(n string) bool { return path.Base(n) == "manifest.wall" || below(n, "var/lib/chisel") }},
	{"opkg", func(n string) bool {
		return hasSuffixAny(n, "usr/lib/opkg/status", "var/lib/opkg/status", "opt/lib/opkg/status")
	}},
	{"xbps", func(n string) bool {
		return inDirectory(n, "var/db/xbps") && strings.HasPrefix(path.Base(n), "pkgdb-")
	}},
	{"slackware", func(n string) bool {
		return inDirectory(n, "var/log/packages") || inDirectory(n, "var/lib/pkgtools/packages")
	}},
	{"swupd", func(n string) bool { return inDirectory(n, "usr/share/clear/bundles") }},
	{"guix", func(n string) bool { return strings.HasPrefix(n, "gnu/store/") && strings.Count(n, "/") == 2 }},
	{"crux", func(n string) bool { return n == "var/lib/pkg/db" }},
	{"eopkg", func(n string) bool {
		return path.Base(n) == "metadata.xml" && (below(n, "var/lib/eopkg/package") || below(n, "var/lib/pisi/package"))
	}},
	{"tazpkg", func(n string) bool { return path.Base(n) == "receipt" && below(n, "var/lib/tazpkg/installed") }},
	{"flatpak", func(n string) bool { return below(n, "var/lib/flatpak/app") && path.Base(n) == "metadata" }},
	{"spack", func(n string) bool { return path.Base(n) == "index.json" && inDirectory(n, ".spack-db") }},
	// The packages themselves are in zip files, in a cache that may be anywhere.
	{"yarn", func(n string) bool { return path.Base(n) == ".pnp.cjs" || path.Base(n) == ".pnp.js" }},
	{"electron", func(n string) bool { return strings.HasSuffix(n, ".asar") }},
	// PHP's own tool has this ending, too.
	{"phar", func(n string) bool { return strings.HasSuffix(n, ".phar") && path.Base(n) != "phar.phar" }},
	{"python zipapp", func(n string) bool {
		return strings.HasSuffix(n, ".pex") || strings.HasSuffix(n, ".pyz") || strings.HasSuffix(n, ".shiv")
	}},
	{"python egg", func(n string) bool { return strings.HasSuffix(n, ".egg") }},
}

// foreignForm reports a package database that Revet does not read.
func (r *reading) foreignForm(e *layers.Entry) {
	for _, f := range foreign {
		if f.is(e.Path) && !r.found.Evidence[e.Path] {
			r.unread(f.subject, e.Path, "packages of "+f.subject+" are not read by this version of Revet, so they could not be compared; "+
				"install them with another package manager, or add an exception from the rule for the image")
			return
		}
	}
}

func hasSuffixAny(name string, all ...string) bool {
	for _, s := range all {
		if name == s || strings.HasSuffix(name, "/"+s) {
			return true
		}
	}
	return false
}

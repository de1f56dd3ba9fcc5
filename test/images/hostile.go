package images

import (
	"bytes"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Hostile are images that try to pass without being looked at, and one that holds
// malware; by Records and the default policy they fail.
func Hostile() []Sample {
	return []Sample{OpaqueRoot(), WhiteoutAndEntry(), AliasPlatform(), Static(), NewRelease(), Malicious()}
}

// OpaqueRoot hides all below a layer from some runtimes, and nothing from others.
func OpaqueRoot() Sample {
	return Sample{
		Name: "opaque-root", About: "a Debian below a layer whose root is opaque, which runtimes read in two ways", Verdict: VerdictFail,
		Rules: []string{"ambiguous-layers"},
		build: func(o Options) (artefact, error) {
			return withFiles(o, file{name: ".wh..wh..opq", mode: 0o644}, file{name: "srv/app", mode: 0o755, content: []byte("an application")})
		},
	}
}

// WhiteoutAndEntry removes a folder and makes it again in one layer: what stays of
// the layer below depends on the runtime.
func WhiteoutAndEntry() Sample {
	return Sample{
		Name: "whiteout-and-entry", About: "a layer that removes and makes one folder, which runtimes read in two ways", Verdict: VerdictFail,
		Rules: []string{"ambiguous-layers"},
		build: func(o Options) (artefact, error) {
			return withFiles(o, file{name: "var/lib/.wh.dpkg", mode: 0o644}, file{name: "var/lib/dpkg/mine", mode: 0o644, content: []byte("mine")})
		},
	}
}

// AliasPlatform hides a bad image behind another name of the platform of a good one.
func AliasPlatform() Sample {
	return Sample{
		Name: "alias-platform", About: "an index of a bad image for linux/x86_64 and a good one for linux/amd64", Verdict: VerdictFail,
		Rules: Bad().Rules,
		build: func(o Options) (artefact, error) {
			return index(o, child{architecture: "amd64", edit: bad, named: "x86_64"}, child{architecture: "amd64", edit: good})
		},
	}
}

// Static has files of which nobody can tell what they are made of.
func Static() Sample {
	return Sample{
		Name: "static", About: "an image from scratch, in which no package is found", Verdict: VerdictFail, Rules: []string{"no-packages"},
		build: func(o Options) (artefact, error) {
			base, err := filesLayer([]file{{name: "etc/app.conf", mode: 0o644, content: []byte("of no package\n")}})
			if err != nil {
				return artefact{}, err
			}
			img, err := buildOn(o, "amd64", good, base)
			return artefact{what: img}, err
		},
	}
}

// NewRelease is of a release of Debian that Records say nothing of.
func NewRelease() Sample {
	return Sample{
		Name: "new-release", About: "a Debian 13, of which the database has no records", Verdict: VerdictFail, Rules: []string{"uncovered-release"},
		build: func(o Options) (artefact, error) {
			release, err := testdata.ReadFile("testdata/debian/os-release")
			if err != nil {
				return artefact{}, err
			}
			release = bytes.ReplaceAll(bytes.ReplaceAll(release, []byte("12"), []byte("13")), []byte("bookworm"), []byte("trixie"))
			base, err := debianLayer("amd64", release)
			if err != nil {
				return artefact{}, err
			}
			img, err := buildOn(o, "amd64", good, base)
			return artefact{what: img}, err
		},
	}
}

// Malicious has a package that Records tell of as malware.
func Malicious() Sample {
	return Sample{
		Name: "malicious", About: "a good image with a package of npm that is known as malware", Verdict: VerdictFail, Rules: []string{"MAL-2026-0001"},
		build: func(o Options) (artefact, error) {
			return withFiles(o, file{name: "srv/node_modules/revet-sample-malware/package.json", mode: 0o644,
				content: []byte(`{"name":"revet-sample-malware","version":"1.0.0"}`)})
		},
	}
}

// withFiles is a good image with one more layer.
func withFiles(o Options, files ...file) (artefact, error) {
	l, err := filesLayer(files)
	if err != nil {
		return artefact{}, err
	}
	return image(o, good, []v1.Layer{l}...)
}

package extract

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	cpb "github.com/google/osv-scalibr/binary/proto/config_go_proto"
	"github.com/google/osv-scalibr/extractor/filesystem"
	"github.com/google/osv-scalibr/extractor/filesystem/language/golang/gobinary"
	"github.com/google/osv-scalibr/extractor/filesystem/language/java/archive"
	"github.com/google/osv-scalibr/extractor/filesystem/language/javascript/packagejson"
	"github.com/google/osv-scalibr/extractor/filesystem/language/python/wheelegg"
	"github.com/google/osv-scalibr/extractor/filesystem/os/apk"
	"github.com/google/osv-scalibr/extractor/filesystem/os/dpkg"
	"github.com/google/osv-scalibr/extractor/filesystem/os/osrelease"
	"github.com/google/osv-scalibr/extractor/filesystem/os/rpm"
	"github.com/google/osv-scalibr/extractor/filesystem/simplefileapi"
	scalibrfs "github.com/google/osv-scalibr/fs"
	"github.com/google/osv-scalibr/log"
	"github.com/google/osv-scalibr/plugin"
	"github.com/google/osv-scalibr/stats"
	"github.com/google/osv-scalibr/version"

	"github.com/revet-dev/revet/cmd/scan/internal/rootfs"
	"github.com/revet-dev/revet/pkg/pipeline/content"
	"github.com/revet-dev/revet/pkg/pipeline/inventory"
)

// ReasonUnreadable is of an image that has packages, or may have some, that cannot
// be read.
const ReasonUnreadable content.Reason = "PackagesUnreadable"

const (
	toolName  = "osv-scalibr"
	osRelease = "etc/os-release"
	// maxArchive bounds what an archive of Java's, with all archives in it, makes its
	// reader hold in memory.
	maxArchive = 256 << 20
	maxUnread  = 20
	maxWhy     = 200
)

// goMark is in every program that Go linked, where its build information is.
var goMark = []byte("\xff Go buildinf:")

// Options bound what an image may cost.
type Options struct {
	Limits rootfs.Limits
	// Temp is the directory for what is kept of images; "" for the system's.
	Temp string
}

// reader is a reader of one kind of package.
type reader struct {
	filesystem.Extractor
	// system is the package manager of a distribution.
	system bool
	// mark is in every file that it reads anything in.
	mark []byte
}

func readers() ([]reader, error) {
	var all []reader
	for _, r := range []struct {
		make   func(*cpb.PluginConfig) (filesystem.Extractor, error)
		config *cpb.PluginSpecificConfig
		system bool
		mark   []byte
	}{
		{make: dpkg.New, system: true},
		{make: apk.New, system: true},
		{make: rpm.New, system: true},
		{make: gobinary.New, mark: goMark},
		{make: wheelegg.New},
		{make: packagejson.New},
		{make: archive.New, config: &cpb.PluginSpecificConfig{Config: &cpb.PluginSpecificConfig_JavaArchive{
			JavaArchive: &cpb.JavaArchiveConfig{MaxOpenedBytes: maxArchive},
		}}},
	} {
		config := &cpb.PluginConfig{}
		if r.config != nil {
			config.PluginSpecific = []*cpb.PluginSpecificConfig{r.config}
		}
		e, err := r.make(config)
		if err != nil {
			return nil, fmt.Errorf("prepare the readers of packages: %w", err)
		}
		all = append(all, reader{Extractor: e, system: r.system, mark: r.mark})
	}
	return all, nil
}

// Images takes stock of all images of tree.
func Images(ctx context.Context, blobs rootfs.Blobs, tree content.Tree, o Options) (inventory.File, error) {
	all, err := readers()
	if err != nil {
		return inventory.File{}, err
	}
	log.SetLogger(silent{}) // what matters is in the status of each reader
	out := inventory.File{Digest: tree.Root.Digest, Tool: inventory.Tool{Name: toolName, Version: version.ScannerVersion}}
	for _, img := range tree.Images {
		next, err := look(ctx, blobs, img, all, o)
		if err != nil {
			return inventory.File{}, content.Within(err, "image "+img.Config.String())
		}
		out.Images = append(out.Images, next)
	}
	return out, nil
}

func look(ctx context.Context, blobs rootfs.Blobs, img content.Image, all []reader, o Options) (inventory.Image, error) {
	files, err := rootfs.Open(ctx, blobs, img, wanted(all), o.Limits, o.Temp)
	if err != nil {
		return inventory.Image{}, err
	}
	defer files.Close()
	var extractors []filesystem.Extractor
	for _, r := range all {
		extractors = append(extractors, r)
	}
	found, status, err := filesystem.Run(ctx, &filesystem.Config{
		Extractors: extractors, ScanRoots: []*scalibrfs.ScanRoot{{FS: files}},
		Stats: stats.NoopCollector{}, ErrorOnFSErrors: true,
	})
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return inventory.Image{}, fmt.Errorf("look for packages in the image %s: %w", img.Config, err)
	}
	release, err := osrelease.GetOSRelease(files)
	if err != nil {
		release = nil // not a distribution's
	}
	out := inventory.Image{Platform: img.Config.String(), Digest: img.Manifest.Digest, Distribution: distribution(release)}
	if err := misled(files); err != nil {
		return inventory.Image{}, err
	}
	if err := failures(&out, all, status); err != nil {
		return inventory.Image{}, err
	}
	system := false
	for _, p := range found.Packages {
		system = system || slices.ContainsFunc(p.Plugins, func(name string) bool { return isSystem(all, name) })
		if next, ok := convert(p, release); ok {
			out.Packages = append(out.Packages, next)
		}
	}
	if out.Distribution != "" && !system {
		// Perhaps it has none; perhaps somebody removed what tells of them.
		out.UnreadCount++
		out.Unread = append(out.Unread, inventory.Unread{Path: osRelease, Why: clip("it names the distribution " + out.Distribution + ", and there are no packages of one")})
	}
	out.Packages = inventory.Merge(out.Packages)
	return out, nil
}

// misled reports an error for a symbolic link where a package database should be
// that leads to where none is.
func misled(files *rootfs.FS) error {
	links := files.Dangling()
	for _, from := range slices.Sorted(maps.Keys(links)) {
		if from != osRelease {
			return content.Errorf(ReasonUnreadable, "file "+clip(from),
				"it is a symbolic link to %q, where no packages are read; build the image with the database itself", clip(links[from]))
		}
	}
	return nil
}

func isSystem(all []reader, name string) bool {
	return slices.ContainsFunc(all, func(r reader) bool { return r.system && r.Name() == name })
}

// failures sorts what could not be read.
func failures(out *inventory.Image, all []reader, status []*plugin.Status) error {
	for _, s := range status {
		if s.Status == nil {
			continue
		}
		system := isSystem(all, s.Name)
		if s.Status.Status == plugin.ScanStatusFailed && len(s.Status.FileErrors) == 0 {
			return content.Errorf(ReasonUnreadable, "", "the reader %s failed: %s", s.Name, clip(s.Status.FailureReason))
		}
		for _, f := range s.Status.FileErrors {
			if system {
				return content.Errorf(ReasonUnreadable, "file "+f.FilePath,
					"the packages of the distribution cannot be read: %s", f.ErrorMessage)
			}
			out.UnreadCount++
			out.Unread = append(out.Unread, inventory.Unread{Path: clip(f.FilePath), Why: clip(f.ErrorMessage)})
		}
	}
	slices.SortFunc(out.Unread, func(a, b inventory.Unread) int { return strings.Compare(a.Path+a.Why, b.Path+b.Why) })
	out.Unread = out.Unread[:min(len(out.Unread), maxUnread)]
	return nil
}

func clip(s string) string {
	if len(s) <= maxWhy {
		return s
	}
	return strings.ToValidUTF8(s[:maxWhy], "") + "..."
}

// wanted asks the readers, and has them believe that every file is small: they
// leave out what is too large for them, and rootfs refuses it.
func wanted(all []reader) rootfs.Wanted {
	return func(name string, mode fs.FileMode) rootfs.Want {
		switch name {
		case osRelease, "usr/lib/os-release":
			return rootfs.Want{Yes: true, Link: true}
		}
		file := simplefileapi.New(name, small{path.Base(name), mode})
		var want rootfs.Want
		for _, r := range all {
			if !r.FileRequired(file) {
				continue
			}
			switch {
			case r.system:
				return rootfs.Want{Yes: true, Link: true}
			case len(r.mark) == 0, want.Yes && !bytes.Equal(want.Mark, r.mark):
				return rootfs.Want{Yes: true}
			}
			want = rootfs.Want{Yes: true, Mark: r.mark}
		}
		return want
	}
}

// small is a file as far as its path and permissions tell.
type small struct {
	name string
	mode fs.FileMode
}

// Name implements fs.FileInfo.
func (s small) Name() string { return s.name }

// Size implements fs.FileInfo.
func (s small) Size() int64 { return 1 }

// Mode implements fs.FileInfo.
func (s small) Mode() fs.FileMode { return s.mode }

// ModTime implements fs.FileInfo.
func (s small) ModTime() time.Time { return time.Time{} }

// IsDir implements fs.FileInfo.
func (s small) IsDir() bool { return false }

// Sys implements fs.FileInfo.
func (s small) Sys() any { return nil }

// silent is a log that nobody reads.
type silent struct{}

func (silent) Errorf(string, ...any) {}
func (silent) Error(...any)          {}
func (silent) Warnf(string, ...any)  {}
func (silent) Warn(...any)           {}
func (silent) Infof(string, ...any)  {}
func (silent) Info(...any)           {}
func (silent) Debugf(string, ...any) {}
func (silent) Debug(...any)          {}

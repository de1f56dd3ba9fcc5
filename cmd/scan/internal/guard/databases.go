package guard

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/anchore/syft/syft/pkg"
	_ "github.com/glebarez/sqlite" // for RPM's database

	"github.com/revet-dev/revet/cmd/scan/internal/packages"
	"github.com/revet-dev/revet/pkg/pipeline/layers"
)

// places are the directories in which distributions keep their package databases. A broken link in
// such a place hides a database.
var places = []string{
	"var/lib/dpkg", "var/lib/dpkg/status", "var/lib/dpkg/status.d", "var/lib/dpkg/updates", "lib/apk/db", "lib/apk/db/installed", "usr/lib/apk/db", "usr/lib/apk/db/installed",
	"var/lib/rpm", "usr/lib/sysimage/rpm", "usr/share/rpm", "var/lib/rpmmanifest", "var/lib/pacman", "var/lib/pacman/local", "var/db/pkg",
	"etc/os-release", "usr/lib/os-release",
}

// databases reports broken links in the places of package databases.
func (r *reading) databases() {
	for _, name := range places {
		at := ""
		for _, part := range strings.Split(name, "/") {
			at = path.Join(at, part)
			e, ok := r.tree.Lookup(at)
			if !ok {
				break
			}
			if e.Type != layers.Symlink {
				continue
			}
			if _, ok := r.tree.Resolve(at); !ok {
				r.unread("distribution", at, fmt.Sprintf("it is a link to %q, which does not exist, so the database behind it could not be read; "+
					"put the database itself into the image", clip(e.Link)))
			}
			break
		}
	}
}

// links finds files that are package databases through a link from elsewhere.
func (r *reading) links() {
	know := func(name string) {
		if e, ok := r.tree.Resolve(name); ok && e.Path != name {
			r.known[e.Path] = name
		}
	}
	for _, name := range places {
		know(name)
		if dir, ok := r.tree.Resolve(name); ok && dir.Type == layers.Dir {
			for _, e := range r.tree.Children(dir.Path) {
				know(path.Join(name, path.Base(e.Path)))
			}
		}
	}
}

// nameOf returns the name under which a package manager finds a file.
func (r *reading) nameOf(at string) string {
	for dir, rest := at, ""; dir != "." && dir != "/"; dir, rest = path.Dir(dir), path.Join(path.Base(dir), rest) {
		if name, ok := r.known[dir]; ok {
			return path.Join(name, rest)
		}
	}
	return at
}

// database compares a distribution's package database with the packages that were found in it.
func (r *reading) database(ctx context.Context, e *layers.Entry) error {
	name := r.nameOf(e.Path)
	base, read := path.Base(name), r.found.Databases[e.Path]
	switch {
	case strings.HasSuffix(base, ".md5sums"):
	case base == "status" && inDirectory(name, "dpkg"), below(name, "dpkg/status.d"), read == pkg.DebPkg:
		return r.stanzas(e, "dpkg")
	case inDirectory(name, "dpkg/updates") && e.Size > 0:
		r.unread("dpkg", e.Path, "dpkg has not written pending changes into its database, so it may list packages that are no longer installed; run dpkg --configure -a in the build")
	case base == "installed" && inDirectory(name, "lib/apk/db"), read == pkg.ApkPkg:
		return r.stanzas(e, "apk")
	case strings.HasPrefix(base, "rpmdb.sqlite"):
		return r.sqlite(ctx, e, base)
	case inDirectory(name, "rpm") && (base == "Packages" || base == "Packages.db"), read == pkg.RpmPkg:
		if read == "" {
			r.unread("rpm", e.Path, "no package could be read from RPM's database; rebuild it (rpm --rebuilddb) in the build")
		}
	case base == "desc" && path.Base(path.Dir(path.Dir(name))) == "local" && below(name, "pacman/local"):
		if read == "" {
			r.unread("pacman", e.Path, "packages in pacman's database could not be read; reinstall them in the build")
		}
	}
	return nil
}

// sqlite reports an RPM database that is truncated, or has a part in another file.
func (r *reading) sqlite(ctx context.Context, e *layers.Entry, base string) error {
	const cure = "; run rpm --rebuilddb at the end of the build"
	switch base {
	case "rpmdb.sqlite-wal", "rpmdb.sqlite-journal":
		if e.Size > 0 {
			r.unread("rpm", e.Path, "the latest changes to RPM's database are in a separate file, which could not be read"+cure)
		}
		return nil
	case "rpmdb.sqlite":
	default:
		return nil
	}
	const header = 100
	raw, _, err := r.tree.Read(e, header)
	if err != nil {
		return err
	}
	if len(raw) < header || !bytes.HasPrefix(raw, []byte("SQLite format 3\x00")) {
		r.unread("rpm", e.Path, "RPM's database is not an SQLite file"+cure)
		return nil
	}
	size := int64(binary.BigEndian.Uint16(raw[16:]))
	if size == 1 {
		size = 65536
	}
	// The page count is valid only if it was written with the last change.
	if pages := int64(binary.BigEndian.Uint32(raw[28:])); bytes.Equal(raw[24:28], raw[92:96]) && pages*size > e.Size {
		r.unread("rpm", e.Path, fmt.Sprintf("RPM's database was truncated: it has %d bytes of %d%s", e.Size, pages*size, cure))
		return nil
	}
	if !r.found.Evidence[e.Path] {
		r.unread("rpm", e.Path, "no package could be read from RPM's database"+cure)
		return nil
	}
	// If the file is broken further on, the list of packages ends there, and Syft does not ask why.
	why, err := r.quickCheck(ctx, e)
	if why != "" {
		r.unread("rpm", e.Path, "RPM's database is broken ("+clip(strings.Join(strings.Fields(why), " "))+")"+cure)
	}
	return err
}

// quickCheck asks SQLite what is wrong with a file.
func (r *reading) quickCheck(ctx context.Context, e *layers.Entry) (string, error) {
	if e.Size > maxDatabase {
		return "too large to check", nil
	}
	from, err := r.tree.Open(e)
	if err != nil {
		return "", err
	}
	f, err := os.CreateTemp("", "revet-rpmdb-")
	if err != nil {
		return "", fmt.Errorf("check %q: %w", e.Path, err)
	}
	defer os.Remove(f.Name())
	_, err = io.Copy(f, from)
	if err := errors.Join(err, f.Close()); err != nil {
		return "", fmt.Errorf("check %q: %w", e.Path, err)
	}
	db, err := sql.Open("sqlite", "file:"+f.Name()+"?mode=ro&immutable=1")
	if err != nil {
		return "", fmt.Errorf("check %q: %w", e.Path, err)
	}
	defer db.Close()
	var said string
	switch err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&said); {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case err != nil:
		return err.Error(), nil
	case said != "ok":
		return said, nil
	}
	return "", nil
}

// maxDatabase bounds how much of a text database is counted.
const maxDatabase = 256 << 20

// stanzas reports a text database that names more packages than were found.
func (r *reading) stanzas(e *layers.Entry, manager string) error {
	f, err := r.tree.Open(e)
	if err != nil {
		return err
	}
	count := countDpkg
	if manager == "apk" {
		count = countApk
	}
	c, err := count(io.LimitReader(f, maxDatabase+1))
	if err != nil {
		return fmt.Errorf("read %q: %w", e.Path, err)
	}
	missed := c.odd
	for s := range c.installed {
		if !r.found.At[e.Path][packages.Key(s.name, s.version)] {
			missed++
		}
	}
	// A file with a single package need not end with a newline.
	if missed > 0 || !c.whole && len(c.named) > 0 && !below(e.Path, "dpkg/status.d") {
		r.unread(manager, e.Path, fmt.Sprintf("of %d packages in the database of %s, %d could not be read: it is broken or truncated; "+
			"reinstall the packages in the build", len(c.installed)+c.odd, manager, missed))
	}
	if name := r.nameOf(e.Path); !below(name, "dpkg/status.d") && manager == "dpkg" {
		r.dropped(path.Dir(name), c)
	}
	return nil
}

// dropped reports packages whose files dpkg lists, but which its database does not name.
func (r *reading) dropped(admin string, c counted) {
	dir, ok := r.tree.Resolve(path.Join(admin, "info"))
	if !ok {
		return
	}
	for _, e := range r.tree.Children(dir.Path) {
		name, ok := strings.CutSuffix(path.Base(e.Path), ".list")
		name, _, _ = strings.Cut(name, ":")
		if ok && !c.named[name] {
			r.unread("dpkg", e.Path, "dpkg lists files of packages that its database does not name, so these packages could not be compared; "+
				"reinstall them in the build, or remove them with dpkg --purge")
		}
	}
}

// counted is what a text database names.
type counted struct {
	named map[string]bool
	// installed are the packages on disk. Each version and architecture counts once.
	installed map[stanza]bool
	// odd counts stanzas that name no package, or two.
	odd int
	// whole reports whether the last line is complete.
	whole bool
}

type stanza struct{ name, version, architecture string }

// countDpkg counts the packages that a status file lists as being on disk.
func countDpkg(r io.Reader) (c counted, err error) {
	c = counted{named: map[string]bool{}, installed: map[stanza]bool{}}
	var s stanza
	gone := false
	end := func() {
		switch {
		case s.name != "":
			c.named[s.name] = true
			if !gone {
				c.installed[s] = true
			}
		case s.version != "":
			c.odd++
		}
		s, gone = stanza{}, false
	}
	c.whole, err = lines(r, func(line string) {
		field, value, ok := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch {
		case line == "":
			end()
		case !ok:
		case strings.EqualFold(field, "Package"):
			s.name = value
		case strings.EqualFold(field, "Version"):
			s.version = value
		case strings.EqualFold(field, "Architecture"):
			s.architecture = value
		case strings.EqualFold(field, "Status"):
			// Packages that are not installed, or only configured, have no files. The first word is
			// only what somebody asked for, and may never have happened.
			words := strings.Fields(value)
			gone = len(words) == 3 && (words[2] == "config-files" || words[2] == "not-installed")
		}
	})
	end()
	return c, err
}

// countApk counts the packages in an apk database.
func countApk(r io.Reader) (c counted, err error) {
	c = counted{named: map[string]bool{}, installed: map[stanza]bool{}}
	var s stanza
	names := 0
	end := func() {
		switch {
		case names > 1 || s.name == "" && s.version != "":
			c.odd++
		case s.name != "":
			c.named[s.name], c.installed[s] = true, true
		}
		s, names = stanza{}, 0
	}
	c.whole, err = lines(r, func(line string) {
		switch {
		case line == "":
			end()
		case strings.HasPrefix(line, "P:"):
			s.name = line[2:]
			names++
		case strings.HasPrefix(line, "V:"):
			s.version = line[2:]
		case strings.HasPrefix(line, "A:"):
			s.architecture = line[2:]
		}
	})
	end()
	return c, err
}

// lines calls f for each line, possibly truncated, because only the beginning matters. It reports
// whether the last line is complete.
func lines(r io.Reader, f func(string)) (whole bool, err error) {
	b := bufio.NewReaderSize(r, 64<<10)
	whole = true
	for {
		line, err := b.ReadSlice('\n')
		if len(line) > 0 {
			whole = line[len(line)-1] == '\n'
			f(strings.TrimRight(string(line[:min(len(line), 200)]), "\r\n"))
		}
		for errors.Is(err, bufio.ErrBufferFull) {
			line, err = b.ReadSlice('\n')
			whole = len(line) > 0 && line[len(line)-1] == '\n'
		}
		if errors.Is(err, io.EOF) {
			return whole, nil
		}
		if err != nil {
			return false, err
		}
	}
}

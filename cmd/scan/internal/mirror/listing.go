package mirror

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	v6 "github.com/anchore/grype/grype/db/v6"
	"github.com/anchore/grype/grype/db/v6/distribution"

	"github.com/revet-dev/revet/cmd/scan/internal/database"
	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
	"github.com/revet-dev/revet/pkg/pipeline/vulndb"
)

const (
	maxListing  = 1 << 20
	archiveFile = "archive"
)

// listing is what latest.json says.
type listing struct {
	distribution.LatestDocument
	notes []string
}

var checksumPattern = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// parseListing reads latest.json, and refuses what is of no use before anything else
// is read.
func parseListing(raw []byte, subject string) (listing, error) {
	// A schema that the library cannot read is in other words here.
	var any struct {
		Status        string          `json:"status"`
		SchemaVersion json.RawMessage `json:"schemaVersion"`
	}
	if err := json.Unmarshal(raw, &any); err != nil {
		return listing{}, oci.Errorf(vulndb.ReasonBroken, subject, "it cannot be read: %w; is it the base of a listing?", err)
	}
	if err := database.CheckSchema(strings.Trim(string(any.SchemaVersion), `"`)); err != nil {
		return listing{}, of(err, subject)
	}
	var l listing
	if err := json.Unmarshal(raw, &l.LatestDocument); err != nil {
		return listing{}, oci.Errorf(vulndb.ReasonBroken, subject, "it cannot be read: %w; is it the base of a listing?", err)
	}
	switch {
	case l.Status == distribution.StatusEndOfLife:
		return listing{}, oci.Errorf(vulndb.ReasonTooNew, subject, "its publisher has given up databases of schema %d (status %q), "+
			"and adds no records to it; upgrade Revet", database.Library.Model, l.Status)
	case !checksumPattern.MatchString(l.Checksum):
		return listing{}, oci.Errorf(vulndb.ReasonBroken, subject, "its checksum is %.100q, and not sha256:...", l.Checksum)
	case l.Path == "" || path.Base(l.Path) != l.Path || strings.HasPrefix(l.Path, "."):
		return listing{}, oci.Errorf(vulndb.ReasonBroken, subject, "its archive is %.200q, and must be a file beside it", l.Path)
	case l.Built.IsZero():
		return listing{}, oci.Errorf(vulndb.ReasonBroken, subject, "it does not say when the database was built")
	case l.Status == distribution.StatusDeprecated:
		l.notes = append(l.notes, "its publisher will soon give up databases of this schema (status deprecated): upgrade Revet")
	}
	return l, nil
}

// fromListing takes the archive that a site's latest.json names.
func fromListing(ctx context.Context, r run) (next, error) {
	s, err := newSite(r.From, r.Options)
	if err != nil {
		return next{}, err
	}
	resp, err := s.get(ctx, vulndb.Origin{}, distribution.LatestFileName)
	if err != nil {
		return next{}, err
	}
	defer resp.Body.Close()
	subject := "source " + resp.Request.URL.Redacted()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxListing))
	if err != nil {
		return next{}, fetch.Classify(subject, err)
	}
	l, err := parseListing(raw, subject)
	if err != nil {
		return next{}, err
	}
	made := next{notes: l.notes}
	made.config.Source = s.base.String()
	origin := vulndb.Origin{Source: s.base.String(), Checksum: l.Checksum}
	archive := filepath.Join(r.Dir, archiveFile)
	download := func() error {
		resp, err := s.get(ctx, vulndb.Origin{}, l.Path)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		return store(archive, resp, r.MaxDownload)
	}
	return r.fromArchive(ctx, made, l, origin, archive, download)
}

// fromArchive checks an archive, which download puts in its place, unpacks and indexes
// it.
func (r run) fromArchive(ctx context.Context, made next, l listing, origin vulndb.Origin, archive string, download func() error) (next, error) {
	malware, err := r.malware(ctx)
	if err != nil {
		return next{}, err
	}
	defer malware.close()
	made.notes = append(made.notes, malware.notes...)
	made.config.Origins = append([]vulndb.Origin{origin}, malware.origins...)
	if r.had(made.config) {
		made.unchanged = true
		return made, nil
	}
	if err := download(); err != nil {
		return next{}, err
	}
	subject := "source " + r.From
	if err := checkSum(archive, l.Checksum); err != nil {
		return next{}, of(err, subject)
	}
	if err := unpack(ctx, archive, r.file()); err != nil {
		return next{}, of(err, subject)
	}
	if archive == filepath.Join(r.Dir, archiveFile) {
		if err := os.Remove(archive); err != nil { // the room is needed
			return next{}, fmt.Errorf("remove the archive: %w", err)
		}
	}
	if err := database.Index(r.Dir); err != nil {
		return next{}, of(err, subject)
	}
	if err := database.Says(r.file(), l.SchemaVersion.String(), l.Built.Time); err != nil {
		return next{}, of(err, subject)
	}
	notes, err := malware.add(ctx, r)
	made.notes = append(made.notes, notes...)
	return made, err
}

// had reports whether the tag holds what was made of the same downloads, by the same
// library.
func (r run) had(c vulndb.Config) bool {
	return r.before != nil && r.before.Config.Indexed == database.Library.String() && r.before.Config.Source == c.Source &&
		vulndb.SameOrigins(r.before.Config.Origins, c.Origins)
}

func checkSum(path, want string) error {
	f, err := os.Open(path) //nolint:gosec // the name is made here, or the user's
	if err != nil {
		return fmt.Errorf("read the archive: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return fmt.Errorf("read the archive: %w", err)
	}
	if got := "sha256:" + hex.EncodeToString(h.Sum(nil)); got != want {
		return oci.Errorf(vulndb.ReasonTampered, "", "its archive has the checksum %s, and latest.json names %s; try again, and find out who changed it", got, want)
	}
	return nil
}

// unpack takes the database's file out of an archive.
func unpack(ctx context.Context, archive, to string) error {
	f, err := os.Open(archive) //nolint:gosec // the name is made here, or the user's
	if err != nil {
		return fmt.Errorf("read the archive: %w", err)
	}
	defer f.Close()
	z, err := fetch.Decompress(f)
	if err != nil {
		return oci.Errorf(vulndb.ReasonBroken, "", "its archive cannot be unpacked: %w", err)
	}
	defer z.Close()
	const most = 1000
	t := tar.NewReader(io.LimitReader(z, 2*vulndb.MaxFile))
	for range most {
		h, err := t.Next()
		switch {
		case errors.Is(err, io.EOF):
			return oci.Errorf(vulndb.ReasonBroken, "", "its archive holds no file %s", v6.VulnerabilityDBFileName)
		case err != nil:
			return oci.Errorf(vulndb.ReasonBroken, "", "its archive cannot be unpacked: %w", err)
		case h.Typeflag == tar.TypeReg && path.Base(h.Name) == v6.VulnerabilityDBFileName:
			return put(ctx, t, to)
		}
	}
	return oci.Errorf(vulndb.ReasonBroken, "", "its archive holds more than %d files", most)
}

// put stores the database's file.
func put(ctx context.Context, r io.Reader, to string) error {
	f, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) //nolint:gosec // the name is made here
	if err != nil {
		return fmt.Errorf("store the database: %w", err)
	}
	n, err := io.Copy(f, io.LimitReader(r, vulndb.MaxFile+1))
	err = errors.Join(err, f.Close(), ctx.Err())
	switch pathError := (*fs.PathError)(nil); {
	case errors.As(err, &pathError), ctx.Err() != nil:
		return fmt.Errorf("store the database: %w", err)
	case err != nil:
		return oci.Errorf(vulndb.ReasonBroken, "", "its archive cannot be unpacked: %w", err)
	case n > vulndb.MaxFile:
		return oci.Errorf(oci.ReasonTooLarge, "", "its file has more than %d bytes", int64(vulndb.MaxFile))
	}
	return nil
}

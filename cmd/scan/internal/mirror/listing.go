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

// listing is the content of latest.json.
type listing struct {
	distribution.LatestDocument
	notes []string
}

var checksumPattern = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// parseListing parses latest.json. It rejects a useless listing before anything else is downloaded.
func parseListing(raw []byte, subject string) (listing, error) {
	// A listing for a schema that the library cannot read may have other fields.
	var any struct {
		Status        string          `json:"status"`
		SchemaVersion json.RawMessage `json:"schemaVersion"`
	}
	if err := json.Unmarshal(raw, &any); err != nil {
		return listing{}, oci.Errorf(vulndb.ReasonBroken, subject, "cannot read it: %w; is it the base of a listing?", err)
	}
	if err := database.CheckSchema(strings.Trim(string(any.SchemaVersion), `"`)); err != nil {
		return listing{}, of(err, subject)
	}
	var l listing
	if err := json.Unmarshal(raw, &l.LatestDocument); err != nil {
		return listing{}, oci.Errorf(vulndb.ReasonBroken, subject, "cannot read it: %w; is it the base of a listing?", err)
	}
	switch {
	case l.Status == distribution.StatusEndOfLife:
		return listing{}, oci.Errorf(vulndb.ReasonTooNew, subject, "its publisher no longer maintains databases of schema %d (status %q), "+
			"and adds no records to it; upgrade Revet", database.Library.Model, l.Status)
	case !checksumPattern.MatchString(l.Checksum):
		return listing{}, oci.Errorf(vulndb.ReasonBroken, subject, "its checksum is %.100q; expected sha256:...", l.Checksum)
	case l.Path == "" || path.Base(l.Path) != l.Path || strings.HasPrefix(l.Path, "."):
		return listing{}, oci.Errorf(vulndb.ReasonBroken, subject, "its archive is %.200q, but must be a file beside it", l.Path)
	case l.Built.IsZero():
		return listing{}, oci.Errorf(vulndb.ReasonBroken, subject, "it does not give the build time of the database")
	case l.Status == distribution.StatusDeprecated:
		l.notes = append(l.notes, "its publisher will soon stop maintaining databases of this schema (status deprecated): upgrade Revet")
	}
	return l, nil
}

// fromListing uses the archive that a site's latest.json names.
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

// fromArchive checks, unpacks and indexes an archive that download stores.
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
		if err := os.Remove(archive); err != nil { // to free the space
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

// had reports whether the tag already holds a database made from the same downloads by the same
// library.
func (r run) had(c vulndb.Config) bool {
	return r.before != nil && r.before.Config.Indexed == database.Library.String() && r.before.Config.Source == c.Source &&
		vulndb.SameOrigins(r.before.Config.Origins, c.Origins)
}

func checkSum(path, want string) error {
	f, err := os.Open(path) //nolint:gosec // the name is built here, or given by the user
	if err != nil {
		return fmt.Errorf("read the archive: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return fmt.Errorf("read the archive: %w", err)
	}
	if got := "sha256:" + hex.EncodeToString(h.Sum(nil)); got != want {
		return oci.Errorf(vulndb.ReasonTampered, "", "its archive has the checksum %s, but latest.json names %s; try again, and find out who changed it", got, want)
	}
	return nil
}

// unpack extracts the database's file from an archive.
func unpack(ctx context.Context, archive, to string) error {
	f, err := os.Open(archive) //nolint:gosec // the name is built here, or given by the user
	if err != nil {
		return fmt.Errorf("read the archive: %w", err)
	}
	defer f.Close()
	z, err := fetch.Decompress(f)
	if err != nil {
		return oci.Errorf(vulndb.ReasonBroken, "", "cannot unpack its archive: %w", err)
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
			return oci.Errorf(vulndb.ReasonBroken, "", "cannot unpack its archive: %w", err)
		case h.Typeflag == tar.TypeReg && path.Base(h.Name) == v6.VulnerabilityDBFileName:
			return put(ctx, t, to)
		}
	}
	return oci.Errorf(vulndb.ReasonBroken, "", "its archive holds more than %d files", most)
}

// put stores the database's file.
func put(ctx context.Context, r io.Reader, to string) error {
	f, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) //nolint:gosec // the name is built here
	if err != nil {
		return fmt.Errorf("store the database: %w", err)
	}
	n, err := io.Copy(f, io.LimitReader(r, vulndb.MaxFile+1))
	err = errors.Join(err, f.Close(), ctx.Err())
	switch pathError := (*fs.PathError)(nil); {
	case errors.As(err, &pathError), ctx.Err() != nil:
		return fmt.Errorf("store the database: %w", err)
	case err != nil:
		return oci.Errorf(vulndb.ReasonBroken, "", "cannot unpack its archive: %w", err)
	case n > vulndb.MaxFile:
		return oci.Errorf(oci.ReasonTooLarge, "", "its file is larger than %d bytes", int64(vulndb.MaxFile))
	}
	return nil
}

package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/documents"
	"github.com/revet-dev/revet/pkg/pipeline/result"
	"github.com/revet-dev/revet/pkg/pipeline/taskresult"
)

// The steps of scan-image and publish-documents, as podOf lists them.
const handing, publishing, looking, joining = 2, 3, 4, 5

// scannedPod is the form with a Pod for publishing, with an image that a scanner looked into.
func scannedPod(t *testing.T) *pod {
	t.Helper()
	p := newPodApart(t)
	p.push(func(c *v1.ConfigFile) { c.Config.User = "root" })
	p.params["scan"], p.params["database"] = "On", "registry.example.com/db:1"
	p.before = func(i int) {
		if p.steps[i].args[0] == "validate" {
			p.scanned(image.DigestOf([]byte("database")), time.Now().Add(-time.Hour).UTC().Truncate(time.Second))
			p.inventoried()
		}
	}
	return p
}

// inventoried leaves the list of packages that the scan judged.
func (p *pod) inventoried() {
	p.t.Helper()
	dir := filepath.Join(p.root, "scan", "image")
	report, err := result.ReadReport(dir, "scan")
	if err == nil {
		err = result.WriteInventory(dir, result.Inventory{Digest: report.Digest, Images: []result.InventoryImage{{Digest: report.Digest}}})
	}
	if err == nil {
		_, report.Inventory, err = result.ReadInventory(dir)
	}
	if err == nil {
		err = result.WriteReport(dir, report)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

// referrers are the types of what is beside the image, and its digests.
func (p *pod) referrers() map[string]string {
	p.t.Helper()
	ref, err := name.NewDigest(p.image)
	if err != nil {
		p.t.Fatal(err)
	}
	index, err := remote.Referrers(ref)
	if err != nil {
		p.t.Fatal(err)
	}
	list, err := index.IndexManifest()
	if err != nil {
		p.t.Fatal(err)
	}
	types := map[string]string{}
	for _, m := range list.Manifests {
		types[m.ArtifactType] = m.Digest.String()
	}
	return types
}

// What a run publishes, and its verdict, are the same in both forms.
func TestPublishingApartPublishesTheSame(t *testing.T) {
	p := scannedPod(t)
	want := []string{"application/sarif+json", "application/vnd.cyclonedx+json", "application/vnd.revet.inventory.v1+gzip"}
	got, summary := p.finish()
	if got["verdict"] != "fail" || summary.Unpublished != "" {
		t.Errorf("verdict %q, unpublished %q", got["verdict"], summary.Unpublished)
	}
	types := p.referrers()
	var found []string
	for kind := range types {
		found = append(found, kind)
	}
	slices.Sort(found)
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("beside the image (-want +got):\n%s", diff)
	}
	if _, reported, _ := strings.Cut(got["report"], "@"); reported != types["application/sarif+json"] {
		t.Errorf("the report is %q, beside the image is %q", got["report"], types["application/sarif+json"])
	}
	inventory := p.basis().Inventory
	if _, stored, _ := strings.Cut(inventory.Reference, "@"); stored != types["application/vnd.revet.inventory.v1+gzip"] {
		t.Errorf("the basis names %+v, beside the image is %q", inventory, types)
	}
}

// Nothing is beside the image before the Pod that publishes has run: the Pod that looks into it
// pushes nothing.
func TestTheScanPushesNothing(t *testing.T) {
	p := scannedPod(t)
	for i := range publishing {
		p.step(i)
	}
	if types := p.referrers(); len(types) > 0 {
		t.Errorf("beside the image are %v", types)
	}
	if outcome := p.result("scan-image", "outcome"); !strings.Contains(outcome, "deflate:") && !strings.Contains(outcome, `"documents"`) {
		t.Errorf("the outcome is %s", outcome)
	}
}

// A push that fails leaves the verdict as it is, unless the report is required.
func TestPublishingApartFails(t *testing.T) {
	for _, mode := range []string{"referrers", "required"} {
		p := scannedPod(t)
		p.params["publish"] = mode
		before := p.before
		p.before = func(i int) {
			before(i)
			insecure := p.host + "\n"
			if i == publishing {
				insecure = ""
			}
			p.write("/etc/revet/registries/insecure", insecure)
		}
		if mode == "required" {
			for i := range publishing {
				p.step(i)
			}
			if status, errOut := p.step(publishing); status != 1 || !strings.Contains(errOut, "AddressRefused: ") {
				t.Errorf("status %d: %s", status, errOut)
			}
			continue
		}
		got, summary := p.finish()
		if got["verdict"] != "fail" || got["report"] != "" || !strings.HasPrefix(summary.Unpublished, "AddressRefused: ") {
			t.Errorf("verdict %q, report %q, unpublished %q", got["verdict"], got["report"], summary.Unpublished)
		}
	}
}

// With "none" nothing is handed on, and nothing published.
func TestPublishingApartNothing(t *testing.T) {
	p := scannedPod(t)
	p.params["publish"] = "none"
	got, summary := p.finish()
	if got["verdict"] != "fail" || got["report"] != "" || summary.Unpublished != "" || len(p.referrers()) > 0 {
		t.Errorf("%v, %q, %v", got, summary.Unpublished, p.referrers())
	}
	files, err := os.ReadDir(filepath.Join(p.root, "workspace", "documents"))
	if err != nil || len(files) != 1 { // .keep
		t.Errorf("the workspace has %v, %v", files, err)
	}
}

// A volume that cannot be written leaves the verdict as it is, and the reason says why there is no
// report.
func TestHandingOnFails(t *testing.T) {
	p := scannedPod(t)
	if err := os.RemoveAll(filepath.Join(p.root, "workspace")); err != nil {
		t.Fatal(err)
	}
	got, summary := p.finish()
	if got["verdict"] != "fail" || got["report"] != "" || !strings.Contains(summary.Unpublished, "no such file") {
		t.Errorf("verdict %q, report %q, unpublished %q", got["verdict"], got["report"], summary.Unpublished)
	}
	p.params["publish"] = "required"
	if status, errOut := p.step(handing); status != 1 || !strings.Contains(errOut, "no such file") {
		t.Errorf("status %d: %s", status, errOut)
	}
}

// Whatever somebody makes of the volume between the two Pods, or of what travels beside it, nothing
// is published, and there is no verdict.
func TestHostileVolumes(t *testing.T) {
	elsewhere := filepath.Join(t.TempDir(), "credentials")
	if err := os.WriteFile(elsewhere, []byte("not-a-real-one"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		spoil func(p *pod, file string) error // file is that of the report
		want  string
	}{
		{"a document that is gone", func(_ *pod, file string) error { return os.Remove(file) }, "ContentMissing: report of sha256:"},
		{"a document that is another", func(_ *pod, file string) error { return rewrite(file, func(b []byte) []byte { b[0] ^= 1; return b }) }, "ContentCorrupted: report of sha256:"},
		{"a document that has more", func(_ *pod, file string) error {
			return rewrite(file, func(b []byte) []byte { return append(b, '\n') })
		}, "ContentCorrupted: report of sha256:"},
		{"a link to elsewhere", func(_ *pod, file string) error {
			if err := os.Remove(file); err != nil {
				return err
			}
			return os.Symlink(elsewhere, file)
		}, "it is no regular file"},
		{"a link to the same bytes", func(_ *pod, file string) error {
			if err := os.Rename(file, file+"x"); err != nil {
				return err
			}
			return os.Symlink(file+"x", file)
		}, "it is no regular file"},
		{"a folder", func(_ *pod, file string) error {
			if err := os.Remove(file); err != nil {
				return err
			}
			return os.Mkdir(file, 0o700)
		}, "it is no regular file"},
		{"a workspace that is not the scan's", func(p *pod, _ string) error {
			dir := filepath.Join(p.root, "workspace", "documents")
			if err := os.RemoveAll(dir); err != nil {
				return err
			}
			return os.Mkdir(dir, 0o700)
		}, "ContentMissing: list of documents"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := scannedPod(t)
			for i := range publishing {
				p.step(i)
			}
			if err := tt.spoil(p, p.reportFile()); err != nil {
				t.Fatal(err)
			}
			status, errOut := p.step(publishing)
			if status != 1 || !strings.Contains(errOut, tt.want) {
				t.Errorf("status %d: %s; want %q", status, errOut, tt.want)
			}
			if types := p.referrers(); len(types) > 0 || p.result("publish-documents", "published") != "(none)" {
				t.Errorf("beside the image are %v", types)
			}
			// Tekton runs no further Task; if it did, there would be no verdict.
			p.step(looking)
			if status, errOut := p.step(joining); status != 1 || !strings.Contains(errOut, "decode what was published") {
				t.Errorf("joining: status %d: %s", status, errOut)
			}
		})
	}
}

func rewrite(file string, change func([]byte) []byte) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return os.WriteFile(file, change(b), 0o600)
}

// reportFile is the file of the report on the volume.
func (p *pod) reportFile() string {
	p.t.Helper()
	raw, err := os.ReadFile(filepath.Join(p.root, "scan", "image", "report.sarif"))
	if err != nil {
		p.t.Fatal(err)
	}
	return filepath.Join(p.root, "workspace", "documents", image.DigestOf(raw).Hex())
}

// forge has the scan hand on a list of its own making.
func (p *pod) forge(of image.Digest, list func(w *documents.Writer, scanned image.Digest) error, change func(*taskresult.Result)) {
	p.t.Helper()
	outcome, err := taskresult.Decode(p.result("scan-image", "outcome"))
	if err != nil {
		p.t.Fatal(err)
	}
	if list != nil {
		if of.IsZero() {
			of = outcome.Digest
		}
		w := documents.NewWriter(filepath.Join(p.root, "workspace", "documents"), of)
		if err := list(w, outcome.Digest); err != nil {
			p.t.Fatal(err)
		}
		if outcome.Documents, err = w.Close(); err != nil {
			p.t.Fatal(err)
		}
	}
	if change != nil {
		change(&outcome)
	}
	text, err := outcome.Encode()
	if err != nil {
		p.t.Fatal(err)
	}
	p.write("/tekton/scan-image/outcome", text)
}

// Whoever took over the Pod that parses images has documents of its own published beside the image
// at most, and nothing that contradicts what it reported.
func TestForgedDocuments(t *testing.T) {
	text := func(s string) io.Reader { return strings.NewReader(s) }
	otherImage := digestOf(t, empty.Image)
	for _, tt := range []struct {
		name   string
		of     image.Digest // what the list is about, if it is not the image
		list   func(w *documents.Writer, scanned image.Digest) error
		change func(*taskresult.Result)
		want   string
	}{
		{"documents of another image", otherImage, func(w *documents.Writer, _ image.Digest) error {
			return errors.Join(w.Add(documents.Report, otherImage, text("x")), w.Add(documents.Inventory, otherImage, text(judged)))
		}, func(r *taskresult.Result) { r.Inventory.Digest = image.DigestOf([]byte(judged)) }, "it is about " + otherImage.String()},
		{"an SBOM of another image of the repository", image.Digest{}, func(w *documents.Writer, scanned image.Digest) error {
			return errors.Join(w.Add(documents.SBOM, otherImage, text("x")), w.Add(documents.Report, scanned, text("x")),
				w.Add(documents.Inventory, scanned, text(judged)))
		}, func(r *taskresult.Result) { r.Inventory.Digest = image.DigestOf([]byte(judged)) }, "does not lead to what it is about"},
		{"packages that nobody judged", image.Digest{}, func(w *documents.Writer, scanned image.Digest) error {
			return errors.Join(w.Add(documents.Report, scanned, text("x")), w.Add(documents.Inventory, scanned, text("x")))
		}, nil, "is not the one that the scan judged"},
		{"no packages, which were judged", image.Digest{}, func(w *documents.Writer, scanned image.Digest) error {
			return w.Add(documents.Report, scanned, text("x"))
		}, nil, "is not the one that the scan judged"},
		{"packages, and a scan that judged none", image.Digest{}, nil, func(r *taskresult.Result) { r.Inventory = nil }, "is not the one that the scan judged"},
		{"an outcome of another image", image.Digest{}, nil, func(r *taskresult.Result) { r.Digest = otherImage }, "the outcome is of " + otherImage.String()},
		{"an outcome that hands on nothing", image.Digest{}, nil, func(r *taskresult.Result) { r.Documents = image.Digest{} }, "handed on no documents"},
		{"an outcome that published by itself", image.Digest{}, nil, func(r *taskresult.Result) {
			r.Documents, r.Report = image.Digest{}, "registry.example.com/a@"+otherImage.String()
		}, "handed on no documents"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := scannedPod(t)
			p.also()
			for i := range publishing {
				p.step(i)
			}
			p.forge(tt.of, tt.list, tt.change)
			status, errOut := p.step(publishing)
			if status != 1 || !strings.Contains(errOut, tt.want) {
				t.Errorf("status %d: %s; want %q", status, errOut, tt.want)
			}
			if types := p.referrers(); len(types) > 0 || p.result("publish-documents", "published") != "(none)" {
				t.Errorf("beside the image are %v", types)
			}
		})
	}
}

const judged = "packages"

// Both Tasks are of one mind whether anything is published.
func TestPublishingApartWhatShallNotBe(t *testing.T) {
	p := scannedPod(t)
	for i := range publishing {
		p.step(i)
	}
	p.params["publish"] = "none"
	if status, errOut := p.step(publishing); status != 1 || !strings.Contains(errOut, "handed on documents, and --publish is none") {
		t.Errorf("status %d: %s", status, errOut)
	}
	if types := p.referrers(); len(types) > 0 {
		t.Errorf("beside the image are %v", types)
	}
}

// also pushes another image to the repository, and returns its digest.
func (p *pod) also() image.Digest {
	p.t.Helper()
	tag, err := name.NewTag(p.host + "/team/app:other")
	if err == nil {
		err = remote.Write(tag, empty.Image)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return digestOf(p.t, empty.Image)
}

func digestOf(t *testing.T, img v1.Image) image.Digest {
	t.Helper()
	h, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	digest, err := image.ParseDigest(h.String())
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

// A verdict does not pass over documents of which nobody says what became of them.
func TestDocumentsThatNobodyPublished(t *testing.T) {
	p := scannedPod(t)
	for i := range joining {
		p.step(i)
	}
	p.apart = false // the Pipeline gives join-verdict nothing
	if status, errOut := p.step(joining); status != 1 || !strings.Contains(errOut, "nobody says what became of them") {
		t.Errorf("status %d: %s", status, errOut)
	}
}

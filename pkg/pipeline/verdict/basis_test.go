package verdict_test

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
	"github.com/revet-dev/revet/pkg/pipeline/result"
	"github.com/revet-dev/revet/pkg/pipeline/taskresult"
	"github.com/revet-dev/revet/pkg/pipeline/verdict"
	"github.com/revet-dev/revet/pkg/runresult"
)

var asOf = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func part(digit string) string { return strings.Repeat(digit, 32) }

// scanned is the outcome of a Task whose steps say what they decided by.
func scanned(t *testing.T, tree oci.Tree) taskresult.Result {
	t.Helper()
	r := reportOf("scan", tree)
	r.Inventory, r.Database = digest(6), &result.Database{Digest: digest(7), AsOf: asOf}
	o, err := taskresult.Make(taskresult.Input{
		Tree: tree, Expected: []string{"scan"}, Reports: []result.Report{r}, Parts: result.Parts{"policy": part("1"), "steps": part("2")},
	})
	if err != nil {
		t.Fatal(err)
	}
	o.Published("registry.example.com/team/app@"+digest(9).String(), digest(8))
	return o
}

func signed(parts result.Parts) taskresult.Result {
	return taskresult.Result{
		Digest: digest(1), Checks: []taskresult.Check{{Name: "signature", Off: true}}, Signature: taskresult.SignatureOff, Parts: parts,
	}
}

// own is what the joining step decides by, and keys what the Task of signatures does.
var (
	own  = result.Parts{"parameters": part("3"), "steps": part("6")}
	keys = result.Parts{"keys": part("4"), "steps": part("5")}
)

func basisOf(t *testing.T, parts result.Parts, outcomes ...taskresult.Result) runresult.Basis {
	t.Helper()
	v, err := verdict.Combine([]string{"scan", "signature"}, outcomes, parts, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	return v.Basis
}

// placed has the index name each image's platform: where images were not looked at, what an
// image claims of itself does not count.
func placed(tree oci.Tree) oci.Tree {
	for i := range tree.Images {
		p := tree.Images[i].Config.Platform
		tree.Images[i].Manifest.Platform = &p
	}
	return tree
}

// The basis joins what all Tasks tell, in any order.
func TestBasis(t *testing.T) {
	tree := placed(treeOf("amd64", "arm64", "amd64"))
	tree.Unselected = []oci.Descriptor{{}, {}}
	parts := result.JoinParts(map[string]result.Parts{
		"": own, "signature": keys, "scan": {"policy": part("1"), "steps": part("2")}, "scan database": {"database": digest(7).Hex()[:32]},
	})
	want := runresult.Basis{
		Policy: parts.Digest().String(), Parts: map[string]string{},
		Checks: []string{"scan"}, Off: []string{"signature"}, Platforms: []string{"linux/amd64", "linux/arm64"}, Unselected: 2,
		Database:  &runresult.BasisDatabase{Digest: digest(7).String(), AsOf: asOf},
		Inventory: &runresult.BasisInventory{Digest: digest(6).String(), Reference: "registry.example.com/team/app@" + digest(8).String()},
	}
	for name, digest := range parts {
		want.Parts[name] = digest[:12]
	}
	if len(parts) != 5 {
		t.Fatalf("the parts are %v", parts)
	}
	scan, signature := scanned(t, tree), signed(keys)
	for _, outcomes := range [][]taskresult.Result{{scan, signature}, {signature, scan}} {
		if diff := cmp.Diff(want, basisOf(t, own, outcomes...)); diff != "" {
			t.Errorf("basis (-want +got):\n%s", diff)
		}
	}
}

// The policy digest changes with every part of every Task.
func TestPolicyDigestChangesWithEachPart(t *testing.T) {
	tree := treeOf("amd64")
	base := basisOf(t, own, scanned(t, tree), signed(keys)).Policy
	seen := map[string]string{base: "nothing"}
	change := func(p result.Parts, name string) result.Parts {
		changed := maps.Clone(p)
		changed[name] = part("f")
		return changed
	}
	try := func(what string, parts result.Parts, outcomes ...taskresult.Result) {
		t.Helper()
		got := basisOf(t, parts, outcomes...).Policy
		if before, ok := seen[got]; ok {
			t.Errorf("with another %s the digest is as with another %s: %s", what, before, got)
		}
		seen[got] = what
	}
	for _, name := range []string{"policy", "steps"} {
		o := scanned(t, tree)
		o.Parts = change(o.Parts, name)
		try(name+" of the scan", own, o, signed(keys))
	}
	for name := range keys {
		try(name+" of signatures", own, scanned(t, tree), signed(change(keys, name)))
	}
	for name := range own {
		try(name+" of the verdict", change(own, name), scanned(t, tree), signed(keys))
	}
	other := scanned(t, tree)
	other.Database = &result.Database{Digest: image.DigestOf([]byte("another")), AsOf: asOf}
	try("database", own, other, signed(keys))
	other = scanned(t, tree)
	other.Parts = keys
	try("division: the Tasks exchange what they decide by", own, other, signed(scanned(t, tree).Parts))
}

// A digest over some of the parts would stay the same when another one changes: without all of
// them there is none.
func TestNoPolicyDigestWithoutAllParts(t *testing.T) {
	tree := treeOf("amd64")
	silent := scanned(t, tree)
	silent.Parts = nil
	for name, b := range map[string]runresult.Basis{
		"the scan":    basisOf(t, own, silent, signed(keys)),
		"signatures":  basisOf(t, own, scanned(t, tree), signed(nil)),
		"the verdict": basisOf(t, nil, scanned(t, tree), signed(keys)),
	} {
		if b.Policy != "" || b.Parts != nil {
			t.Errorf("without the parts of %s the digest is %q over %v", name, b.Policy, b.Parts)
		}
		if b.Inventory == nil || len(b.Platforms) == 0 {
			t.Errorf("without the parts of %s the rest is %+v", name, b)
		}
	}
}

// An inventory without a stored artefact has no reference, and a platform that cannot be listed is
// counted.
func TestBasisTellsWhatItDoesNotKnow(t *testing.T) {
	o := scanned(t, treeOf("amd64", "arm64", "s390x"))
	o.Report, o.Inventory = "", &taskresult.Inventory{Digest: digest(6)}
	o.Platforms = []string{"unknown", "linux/amd64"}
	b := basisOf(t, own, o, signed(keys))
	if b.Inventory.Digest != digest(6).String() || b.Inventory.Reference != "" {
		t.Errorf("inventory %+v", b.Inventory)
	}
	if diff := cmp.Diff([]string{"linux/amd64"}, b.Platforms); diff != "" || b.PlatformsOmitted != 2 {
		t.Errorf("%d platforms omitted, listed (-want +got):\n%s", b.PlatformsOmitted, diff)
	}
	published := scanned(t, treeOf("amd64"))
	published.Inventory = &taskresult.Inventory{Digest: digest(6)}
	if b := basisOf(t, own, published, signed(keys)); published.Report == "" || b.Inventory.Reference != "" {
		t.Errorf("beside the report %q: inventory %+v", published.Report, b.Inventory)
	}
	none := scanned(t, treeOf("amd64"))
	none.Inventory, none.Database = nil, nil
	if b := basisOf(t, own, none, signed(keys)); b.Inventory != nil || b.Database != nil || b.Parts["database"] != "" {
		t.Errorf("without a scan: %+v", b)
	}
	second := signed(keys)
	second.Inventory = &taskresult.Inventory{Digest: digest(6)}
	if _, err := verdict.Combine([]string{"scan", "signature"}, []taskresult.Result{o, second}, own, time.Time{}); err == nil || !strings.Contains(err.Error(), "two Tasks judged an inventory") {
		t.Errorf("two inventories: %v", err)
	}
}

// crowded returns outcomes that fill every field of basis and summary to its bound, with a
// repository of so many bytes.
func crowded(t *testing.T, repository int) ([]string, []taskresult.Result) {
	t.Helper()
	var architectures []string
	for i := range 20 {
		architectures = append(architectures, fmt.Sprintf("%030d", i))
	}
	tree := treeOf(architectures...)
	tree = placed(tree)
	tree.Unselected = make([]oci.Descriptor, 1000)
	long := strings.Repeat(`"`, 300)
	expect, off := []string{"scan", "signature"}, []string(nil)
	var found []result.Finding
	for i := range 100 {
		found = append(found, result.Finding{
			Rule: fmt.Sprint(i, long), Severity: result.SeverityWarning, Platform: long, Message: fmt.Sprint(i, long), Gap: true,
			Waiver: &result.Waiver{Reason: long, Owner: long, By: long, Expires: asOf},
		})
	}
	r := reportOf("scan", tree, found...)
	r.Inventory, r.Database = digest(6), &result.Database{Digest: digest(7), AsOf: asOf, Schema: long}
	r.Levels = map[string]int{"critical": 100000, "high": 100000, "medium": 100000, "low": 100000, "unknown": 100000}
	for i := range 6 {
		off = append(off, fmt.Sprintf("check-of-a-rather-long-name-%d", i))
	}
	expect = append(expect, off...)
	parts := result.Parts{}
	for i := range 8 {
		parts[fmt.Sprintf("part-with-a-name-%d", i)] = part(fmt.Sprint(i))
	}
	o, err := taskresult.Make(taskresult.Input{Tree: tree, Expected: append([]string{"scan"}, off...), Off: off, Reports: []result.Report{r}, Parts: parts})
	if err != nil {
		t.Fatal(err)
	}
	if repository > 0 {
		o.Published("registry.example.com/"+strings.Repeat("a", repository-len("registry.example.com/"))+"@"+digest(9).String(), digest(8))
	} else {
		o.Withheld(errors.New(long))
	}
	return expect, []taskresult.Result{o, signed(keys)}
}

// With everything at its bound, all results of the last step fit into one message; the summary
// lists something, and what the basis leaves out is told.
func TestCrowdedResultsFit(t *testing.T) {
	for name, repository := range map[string]int{"a long repository": 280 - 72, "a short one": 40, "no report": 0} {
		t.Run(name, func(t *testing.T) {
			expect, outcomes := crowded(t, repository)
			v, err := verdict.Combine(expect, outcomes, own, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			if err := verdict.Write(dir, v); err != nil {
				t.Fatal(err)
			}
			if n := messageSize(t, dir); n > 4096 {
				t.Errorf("the message has %d bytes", n)
			}
			text, err := fs.ReadFile(os.DirFS(dir), runresult.BasisResult)
			if err != nil {
				t.Fatal(err)
			}
			b, err := runresult.ParseBasis(string(text))
			if err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			if len(b.Platforms)+int(b.PlatformsOmitted) != 20 || b.Policy == "" || len(b.Off) != 7 || b.Unselected != 1000 || b.Database == nil {
				t.Errorf("basis %+v", b)
			}
			if b.Parts != nil || len(b.Platforms) == 0 {
				t.Errorf("it lists %d parts and %d platforms", len(b.Parts), len(b.Platforms))
			}
			if (b.Inventory.Reference != "") != (repository > 0) {
				t.Errorf("inventory %+v", b.Inventory)
			}
			if len(v.Summary.Findings) == 0 {
				t.Error("the summary lists no finding")
			}
		})
	}
}

// Where the inventory is stored is left out last, and what it is never.
func TestBasisLeavesOutTheReferenceLast(t *testing.T) {
	o := scanned(t, treeOf("amd64"))
	expect := []string{"scan", "signature"}
	for i := range 13 {
		name := fmt.Sprintf("check-with-a-really-long-name-%02d", i)
		expect = append(expect, name)
		o.Checks = append(o.Checks, taskresult.Check{Name: name, Rules: 1})
	}
	o.Report = "registry.example.com/" + strings.Repeat("a", 280-72-21) + "@" + digest(9).String()
	v, err := verdict.Combine(expect, []taskresult.Result{o, signed(keys)}, own, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	want := runresult.Basis{
		Policy: v.Basis.Policy, Checks: v.Basis.Checks, Off: []string{"signature"}, PlatformsOmitted: 1,
		Database: v.Basis.Database, Inventory: &runresult.BasisInventory{Digest: digest(6).String()},
	}
	if diff := cmp.Diff(want, v.Basis, cmpopts.EquateEmpty()); diff != "" || len(v.Basis.Checks) != 14 || v.Basis.Policy == "" || v.Basis.Database == nil {
		t.Errorf("basis (-want +got):\n%s", diff)
	}
}

// A basis that cannot fit even without what may be left out is an error, and not cut.
func TestBasisThatCannotFit(t *testing.T) {
	var checks []taskresult.Check
	var expect []string
	for i := range 17 {
		checks = append(checks, taskresult.Check{Name: fmt.Sprintf("c%d", i), Rules: 1})
		expect = append(expect, checks[i].Name)
	}
	o := taskresult.Result{Digest: digest(1), Images: &taskresult.Images{N: 1, Hash: part("0")}, Checks: checks}
	if v, err := verdict.Combine(expect, []taskresult.Result{o}, own, time.Time{}); err == nil || !strings.Contains(err.Error(), "17 checks; at most 16") {
		t.Errorf("verdict %+v, error %v", v, err)
	}
}

package taskresult_test

import (
	"bytes"
	"compress/flate"
	"crypto/sha512"
	"encoding/ascii85"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/result"
	"github.com/revet-dev/revet/pkg/pipeline/taskresult"
)

// partsOf returns n parts whose digests cannot be compressed.
func partsOf(n int) result.Parts {
	p := result.Parts{}
	for i := range n {
		p[fmt.Sprintf("part-%d-of-a-task", i)] = image.DigestOf([]byte{byte(i)}).Hex()[:32]
	}
	return p
}

// random returns a digest that cannot be compressed.
func random(n int) image.Digest { return image.DigestOf([]byte(fmt.Sprint("random", n))) }

// noise returns text that can hardly be compressed.
func noise(n int) string {
	var b [200]byte
	sum := sha512.Sum512([]byte(fmt.Sprint("noise", n)))
	more := sha512.Sum512(sum[:])
	return string(b[:ascii85.Encode(b[:], append(sum[:], more[:]...))])
}

// An outcome tells what the steps decided by, which packages were judged and where they are, and
// the platform of each image up to the limit.
func TestMakeTellsWhatAVerdictRestsOn(t *testing.T) {
	var architectures []string
	for i := range 20 {
		architectures = append(architectures, fmt.Sprintf("arch%d", i))
	}
	tree := treeOf(architectures...)
	r := reportOf("scan", tree)
	r.Inventory = digest(6)
	o, err := taskresult.Make(taskresult.Input{Tree: tree, Expected: []string{"scan"}, Reports: []result.Report{r}, Parts: partsOf(2)})
	if err != nil {
		t.Fatal(err)
	}
	o.Published("registry.example.com/team/app@"+digest(9).String(), digest(5))
	text, err := o.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := taskresult.Decode(text)
	if err != nil {
		t.Fatal(err)
	}
	want := o
	want.Parts, want.Inventory = partsOf(2), &taskresult.Inventory{Digest: digest(6), Artifact: digest(5)}
	want.Platforms = nil
	for _, a := range architectures[:16] {
		want.Platforms = append(want.Platforms, "linux/"+a)
	}
	if diff := cmp.Diff(want, got, sameDigests); diff != "" {
		t.Errorf("outcome (-want +got):\n%s", diff)
	}
	second := reportOf("validate", tree)
	second.Inventory = digest(6)
	if _, err := taskresult.Of(tree, []string{"scan", "validate"}, nil, []result.Report{r, second}); err == nil || !strings.Contains(err.Error(), "judged an inventory too") {
		t.Errorf("two inventories: %v", err)
	}
	o.Published("registry.example.com/"+strings.Repeat("a", 300)+"@"+digest(9).String(), digest(5))
	if o.Unpublished == "" {
		t.Error("a reference that is too long is told of")
	}
}

// An outcome that fits as JSON is JSON, for people who look at a TaskRun. A longer one is
// compressed, and read as if it were not.
func TestLongOutcomesAreCompressed(t *testing.T) {
	for n, packed := range map[int]bool{0: false, 1: false, 40: true} {
		var found []result.Finding
		for i := range n {
			found = append(found, finding(result.SeverityError, "", fmt.Sprintf("rule-%d", i), "linux/amd64"))
		}
		o, err := taskresult.Of(treeOf("amd64"), []string{"validate"}, nil, []result.Report{reportOf("validate", treeOf("amd64"), found...)})
		if err != nil {
			t.Fatal(err)
		}
		text, err := o.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if json.Valid([]byte(text)) == packed || strings.HasPrefix(text, "deflate:") != packed {
			t.Errorf("%d findings: %s", n, text)
		}
		if packed && len(o.Findings) < 10 {
			t.Errorf("of %d findings it lists %d", n, len(o.Findings))
		}
		got, err := taskresult.Decode(text)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(o, got, sameDigests); diff != "" {
			t.Errorf("as read again (-want +got):\n%s", diff)
		}
	}
}

func TestDecodeRefusesWhatIsBadlyCompressed(t *testing.T) {
	pack := func(text string) []byte {
		var b bytes.Buffer
		w, err := flate.NewWriter(&b, flate.BestCompression)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	base := `{"digest":"` + digest(1).String() + `","checks":[{"name":"validate","rules":1}]}`
	encode := base64.RawStdEncoding.EncodeToString
	if _, err := taskresult.Decode("deflate:" + encode(pack(base))); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, text, want string }{
		{"nothing", "deflate:", "decompress outcome"},
		{"no base64", "deflate:?", "decompress outcome"},
		{"half of it", "deflate:" + encode(pack(base)[:40]), "decompress outcome"},
		{"more than it", "deflate:" + encode(append(pack(base), 1)), "more data follows"},
		{"a bomb", "deflate:" + encode(pack(base+strings.Repeat(" ", 1<<20))), "more than 8192 bytes"},
		{"too much text", "deflate:" + encode(pack(base)) + strings.Repeat(" ", 4096), "larger than 4096 bytes"},
		{"compressed twice", "deflate:" + encode(pack("deflate:"+encode(pack(base)))), "decode outcome"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := taskresult.Decode(tt.text); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("outcome %+v, error %v; want %q", got, err, tt.want)
			}
		})
	}
}

func TestDecodeRefusesWhatNoVerdictRestsOn(t *testing.T) {
	base := `{"digest":"` + digest(1).String() + `","images":{"n":1,"hash":"00000000000000000000000000000000"},"checks":[{"name":"scan","rules":1}]`
	part := strings.Repeat("a", 32)
	for _, tt := range []struct{ name, text, want string }{
		{"parts", `,"parts":{"rules":"` + part + `"}`, ""},
		{"a part with a short digest", `,"parts":{"rules":"abc"}`, "with the digest"},
		{"a part without a name", `,"parts":{"":"` + part + `"}`, "with the digest"},
		{"an inventory", `,"inventory":{"digest":"` + digest(2).String() + `"}`, ""},
		{"an inventory without a digest", `,"inventory":{}`, "its inventory has no digest"},
		{"an inventory that is stored nowhere", `,"inventory":{"digest":"` + digest(2).String() + `","artifact":"` + digest(3).String() + `"}`, "is stored beside no report"},
		{"a platform", `,"platforms":["linux/amd64"]`, ""},
		{"more platforms than images", `,"platforms":["linux/amd64","linux/arm64"]`, "2 platforms of 1 images"},
		{"an empty platform", `,"platforms":[""]`, "is not a platform"},
		{"a platform with a quote", `,"platforms":["linux/\""]`, "is not a platform"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := taskresult.Decode(base + tt.text + "}")
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("outcome %+v, error %v; want %q", got, err, tt.want)
			}
		})
	}
}

// With everything at its bound, the outcome fits beside the first finding, and keeps what the
// verdict rests on.
func TestWhatAVerdictRestsOnFits(t *testing.T) {
	var architectures []string
	for i := range 20 {
		architectures = append(architectures, random(i).Hex()[:30])
	}
	tree := treeOf(architectures...)
	tree.Root.Digest = random(100)
	var found []result.Finding
	for i := range 100 {
		long := noise(i)
		found = append(found, gap(fmt.Sprintf("r%.80s", long), "linux/"+architectures[0]+random(700+i).Hex(), &result.Waiver{Reason: long, Owner: long, Expires: time0, By: long}))
	}
	r := reportOf("scan", tree, found...)
	r.Inventory = random(101)
	r.Database = &result.Database{Digest: random(102), AsOf: time0, Schema: random(103).Hex()}
	r.Levels = map[string]int{"critical": 123456, "high": 234567, "medium": 345678, "low": 456789, "unknown": 567890}
	for i := range r.Images {
		r.Images[i].Distribution, r.Images[i].Packages = random(300+i).Hex(), map[string]int{}
		for k := range 9 {
			r.Images[i].Packages["k"+random(k).Hex()[:18]] = 100000 * (k + 1)
		}
	}
	o, err := taskresult.Make(taskresult.Input{
		Tree: tree, Expected: []string{"scan", "layers", "validate", "another-check"}, Off: []string{"layers", "validate", "another-check"},
		Reports: []result.Report{r}, Parts: partsOf(8),
	})
	if err != nil {
		t.Fatal(err)
	}
	path := random(500).Hex() + random(501).Hex() + random(502).Hex()
	o.Published("registry.example.com/"+path[:279-21-72]+"@"+random(104).String(), random(105))
	text, err := o.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := taskresult.Decode(text)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Findings) == 0 || len(got.Parts) != 8 || got.Inventory == nil || got.Inventory.Artifact != random(105) || got.Report == "" {
		t.Errorf("outcome %+v", got)
	}
	if quoted, err := json.Marshal(text); err != nil || len(quoted) > taskresult.MaxQuoted {
		t.Errorf("%d bytes, %v", len(quoted), err)
	}
}

package runresult_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/revet-dev/revet/pkg/runresult"
)

func digest(c string) string { return "sha256:" + strings.Repeat(c, 64) }

func full() runresult.Basis {
	return runresult.Basis{
		Policy: digest("a"), Parts: map[string]string{"rules": "0123456789ab"},
		Checks: []string{"layers", "validate"}, Off: []string{"scan"},
		Platforms: []string{"linux/amd64", "linux/arm/v7"}, PlatformsOmitted: 2, Unselected: 3,
		Database:  &runresult.BasisDatabase{Digest: digest("b"), AsOf: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)},
		Inventory: &runresult.BasisInventory{Digest: digest("c"), Reference: "registry.example.com:5000/team/app@" + digest("d")},
	}
}

// The field names and forms are what other pipelines write and other programs read.
func TestBasisOnTheWire(t *testing.T) {
	want := `{"policy":"` + digest("a") + `","parts":{"rules":"0123456789ab"},"checks":["layers","validate"],"off":["scan"],` +
		`"platforms":["linux/amd64","linux/arm/v7"],"platformsOmitted":2,"unselected":3,` +
		`"database":{"digest":"` + digest("b") + `","asOf":"2026-11-20T12:00:00Z"},` +
		`"inventory":{"digest":"` + digest("c") + `","reference":"registry.example.com:5000/team/app@` + digest("d") + `"}}`
	got, err := full().Encode()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("encoded (-want +got):\n%s", diff)
	}
	read, err := runresult.ParseBasis(got)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(full(), read); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}
}

func TestParseBasis(t *testing.T) {
	list := func(n int, format string) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf(`"`+format+`"`, i))
		}
		return "[" + strings.Join(all, ",") + "]"
	}
	object := func(n int) string {
		all := map[string]string{}
		for i := range n {
			all[fmt.Sprintf("p%d", i)] = "0123456789ab"
		}
		raw, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	const ok = `"checks":["scan"]`
	padded := func(n int) string { return "{" + ok + "}" + strings.Repeat(" ", n-len(ok)-2) }
	tests := []struct {
		name, text string
		want       string // of the error; empty for none
	}{
		{"the least", "{" + ok + "}", ""},
		{"a field that it does not know", "{" + ok + `,"new":{"a":[1]}}`, ""},
		{"the largest", padded(runresult.MaxBasis), ""},
		{"larger", padded(runresult.MaxBasis + 1), "at most 1024"},
		{"empty", "", "decode"},
		{"no JSON", "pass", "decode"},
		{"two documents", "{" + ok + "}{}", "decode"},
		{"null", "null", "no check looked"},
		{"no object", `["scan"]`, "decode"},
		{"no check", `{"off":["scan"]}`, "no check looked"},
		{"checks are text", `{"checks":"scan"}`, "decode"},
		{"checks are numbers", `{"checks":[1]}`, "decode"},
		{"16 checks", `{"checks":` + list(16, "c%d") + "}", ""},
		{"17 checks", `{"checks":` + list(17, "c%d") + "}", "at most 16"},
		{"a check twice", `{"checks":["scan","scan"]}`, "given twice"},
		{"a check without a name", `{"checks":[""]}`, "is invalid"},
		{"a check in capitals", `{"checks":["Scan"]}`, "is invalid"},
		{"a check with a long name", `{"checks":["` + strings.Repeat("a", 33) + `"]}`, "is invalid"},
		{"8 off", "{" + ok + `,"off":` + list(8, "c%d") + "}", ""},
		{"9 off", "{" + ok + `,"off":` + list(9, "c%d") + "}", "at most 8"},
		{"off has a line", "{" + ok + `,"off":["a\nb"]}`, "is invalid"},
		{"looked and off", "{" + ok + `,"off":["scan"]}`, "both looked"},
		{"policy is a number", "{" + ok + `,"policy":1}`, "decode"},
		{"policy is no digest", "{" + ok + `,"policy":"sha256:abc"}`, "is no digest"},
		{"policy is of another kind", "{" + ok + `,"policy":"sha512:` + strings.Repeat("a", 64) + `"}`, "is no digest"},
		{"16 platforms", "{" + ok + `,"platforms":` + list(16, "linux/p%d") + "}", ""},
		{"17 platforms", "{" + ok + `,"platforms":` + list(17, "linux/p%d") + "}", "at most 16"},
		{"a platform twice", "{" + ok + `,"platforms":["linux/amd64","linux/amd64"]}`, "given twice"},
		{"a platform of one part", "{" + ok + `,"platforms":["linux"]}`, "is invalid"},
		{"a platform of four parts", "{" + ok + `,"platforms":["linux/arm/v7/x"]}`, "is invalid"},
		{"a platform with a space", "{" + ok + `,"platforms":["linux/a b"]}`, "is invalid"},
		{"a long platform", "{" + ok + `,"platforms":["linux/` + strings.Repeat("a", 59) + `"]}`, "is invalid"},
		{"the longest platform", "{" + ok + `,"platforms":["linux/` + strings.Repeat("a", 58) + `"]}`, ""},
		{"fewer than none omitted", "{" + ok + `,"platformsOmitted":-1}`, "negative"},
		{"fewer than none unselected", "{" + ok + `,"unselected":-1}`, "negative"},
		{"more than can be counted", "{" + ok + `,"unselected":2147483648}`, "decode"},
		{"half of one", "{" + ok + `,"unselected":0.5}`, "decode"},
		{"a database without a digest", "{" + ok + `,"database":{}}`, "digest of a database"},
		{"a database without a time", "{" + ok + `,"database":{"digest":"` + digest("b") + `"}}`, ""},
		{"a database of no time", "{" + ok + `,"database":{"digest":"` + digest("b") + `","asOf":"today"}}`, "decode"},
		{"an inventory without a digest", "{" + ok + `,"inventory":{"reference":"a/b@` + digest("d") + `"}}`, "digest of an inventory"},
		{"an inventory that nobody stored", "{" + ok + `,"inventory":{"digest":"` + digest("c") + `"}}`, ""},
		{"an inventory under a tag", "{" + ok + `,"inventory":{"digest":"` + digest("c") + `","reference":"a/b:1"}}`, "reference of an inventory"},
		{"an inventory somewhere", "{" + ok + `,"inventory":{"digest":"` + digest("c") + `","reference":"b@` + digest("d") + `"}}`, "reference of an inventory"},
		{"an inventory far away", "{" + ok + `,"inventory":{"digest":"` + digest("c") + `","reference":"a/` + strings.Repeat("b", 512-73) + "@" + digest("d") + `"}}`, "reference of an inventory"},
		{"16 parts", "{" + ok + `,"parts":` + object(16) + "}", ""},
		{"17 parts", "{" + ok + `,"parts":` + object(17) + "}", "at most 16"},
		{"a part without a name", "{" + ok + `,"parts":{"":"0123456789ab"}}`, "part"},
		{"a part with a long name", "{" + ok + `,"parts":{"` + strings.Repeat("a", 33) + `":"0123456789ab"}}`, "part"},
		{"a part with a long digest", "{" + ok + `,"parts":{"rules":"0123456789abc"}}`, "part"},
		{"a part that is a list", "{" + ok + `,"parts":{"rules":[]}}`, "decode"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, err := runresult.ParseBasis(tt.text)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want %q", err, tt.want)
			}
			if err != nil {
				if diff := cmp.Diff(runresult.Basis{}, b); diff != "" {
					t.Errorf("beside an error (-want +got):\n%s", diff)
				}
				return
			}
			if _, err := b.Encode(); err != nil {
				t.Errorf("what is read cannot be written: %v", err)
			}
		})
	}
}

// What ParseBasis refuses is not written.
func TestEncodeRefusesWhatCannotBeRead(t *testing.T) {
	long := full()
	long.Inventory.Reference = "registry.example.com/" + strings.Repeat("a", 400) + "@" + digest("d")
	long.Parts = map[string]string{}
	for i := range 8 {
		long.Parts[fmt.Sprintf("part-of-a-long-name-%d", i)] = "0123456789ab"
	}
	for name, b := range map[string]runresult.Basis{"nothing": {}, "no digest": {Policy: "x", Checks: []string{"scan"}}, "too long": long} {
		if text, err := b.Encode(); err == nil {
			t.Errorf("%s: %s", name, text)
		}
	}
}

// What is read is written, and read again as the same.
func FuzzParseBasis(f *testing.F) {
	text, err := full().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add(`{"checks":["scan"],"database":{"digest":"` + digest("b") + `","asOf":"2026-11-20T12:00:00.5+02:00"}}`)
	f.Add(`{"Checks":["scan"],"platforms":null}`)
	f.Fuzz(func(t *testing.T, text string) {
		got, err := runresult.ParseBasis(text)
		if err != nil {
			return
		}
		written, err := got.Encode()
		if err != nil {
			return // longer than it was read
		}
		again, err := runresult.ParseBasis(written)
		if err != nil {
			t.Fatalf("%s: %v", written, err)
		}
		if diff := cmp.Diff(got, again, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("basis (-as read +as written and read again):\n%s", diff)
		}
	})
}

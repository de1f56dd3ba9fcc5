package attestation

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/revet-dev/revet/pkg/attestation"
)

// Whatever whoever has the key wrote, no word of it looks like another row.
func TestNoWordOfAStatementMakesARow(t *testing.T) {
	const forged = "x\n  Sandbox    gvisor\r\u001b[2K"
	var plain, hostile attestation.Verified
	fill := func(v *attestation.Verified, word string) {
		text, err := json.Marshal(word)
		if err != nil {
			t.Fatal(err)
		}
		summary := `{"verifier":{"id":W,"version":{"revet":W}},"policy":{"uri":W},"inputAttestations":[{"uri":W}],
			"verificationResult":W,"verifiedLevels":[W]}`
		if err := json.Unmarshal([]byte(strings.ReplaceAll(summary, "W", string(text))), &v.Summary); err != nil {
			t.Fatal(err)
		}
		l := &v.Summary.Looked
		l.Cluster, l.Run, l.Checks, l.Off, l.Platforms = word, word, []string{word}, []string{word}, []string{word}
		l.Sandbox.Observed, l.Database = []string{word}, &attestation.Database{Digest: word}
		v.Key = word
	}
	fill(&plain, "x")
	fill(&hostile, forged)
	var want, got bytes.Buffer
	show(&want, attestation.Expectation{}, plain)
	show(&got, attestation.Expectation{}, hostile)
	if w, g := strings.Count(want.String(), "\n"), strings.Count(got.String(), "\n"); g != w || strings.ContainsAny(got.String(), "\r\x1b") {
		t.Errorf("%d rows, want %d:\n%s", g, w, got.String())
	}
}

package vulndb

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/revet-dev/revet/pkg/pipeline/content"
	"github.com/revet-dev/revet/pkg/pipeline/osv"
)

// one is a source of one record.
type one []byte

func (o one) Len() int                 { return 1 }
func (o one) Name(int) string          { return "record" }
func (o one) Read(int) ([]byte, error) { return o, nil }

var fuzzTime = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

// Whatever a stranger wrote as a layer is refused or read; what holds all that the
// config says of it can be read to its end.
func FuzzLayer(f *testing.F) {
	var good bytes.Buffer
	e, err := Write(context.Background(), &good, "Go", one(`{"id":"GO-1","modified":"2026-03-01T00:00:00Z","affected":[{"package":{"ecosystem":"Go","name":"a"}}]}`), 0, fuzzTime)
	if err != nil {
		f.Fatal(err)
	}
	f.Add("records/0", `{"id":"GO-1"}`, "index", `{"format":1,"ecosystem":"Go","records":1,"packages":1,"blocks":1}`+"\n"+`"a" 0.0`, false)
	f.Add("records/0", "", "index", "", false)
	f.Add("", good.String(), "", "", true)
	f.Fuzz(func(t *testing.T, firstName, first, secondName, second string, whole bool) {
		var layer []byte
		if whole {
			layer = []byte(first)
		} else {
			var out bytes.Buffer
			z := zip.NewWriter(&out)
			for _, file := range [][2]string{{firstName, first}, {secondName, second}} {
				w, err := z.Create(file[0])
				if err != nil {
					return // such a name cannot be written
				}
				if _, err := w.Write([]byte(file[1])); err != nil {
					return // nor can anything be written into a folder
				}
			}
			if err := z.Close(); err != nil {
				t.Fatal(err)
			}
			layer = out.Bytes()
		}
		s, err := openShard(t.Context(), bytes.NewReader(layer), int64(len(layer)), e)
		if err != nil {
			return
		}
		verified := s.verify(t.Context(), e)
		n := 0
		err = s.each(t.Context(), func(string, string) bool { return true }, func(r osv.Record) error {
			n++
			if r.ID == "" {
				t.Error("a record without an id")
			}
			return nil
		})
		if verified == nil && (err != nil || n != e.Records) {
			t.Errorf("it was verified, and then there were %d records, %v", n, err)
		}
	})
}

// Whatever a stranger wrote as a config or a manifest is refused with a reason, or
// is one that would be written the same way.
func FuzzDocuments(f *testing.F) {
	a, err := Pack(Config{Source: "x", AsOf: fuzzTime, Mirrored: fuzzTime, Ecosystems: []Ecosystem{
		{Name: "Go", Records: 1, Packages: 1, Modified: fuzzTime, Digest: sum(nil), Size: 1}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(a.RawConfig)
	f.Add(a.Manifest)
	f.Add([]byte(`{"format":2}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var e *content.Error
		m, err := decodeManifest(raw)
		if err != nil && !errors.As(err, &e) {
			t.Errorf("manifest: %v", err)
		}
		c, err := decodeConfig(raw)
		if err != nil {
			if !errors.As(err, &e) {
				t.Errorf("config: %v", err)
			}
			return
		}
		_ = m.fits(c) // must not panic
		if again, err := Pack(c); len(raw) <= maxConfig && (err != nil || again.Config.Records() != c.Records()) {
			t.Errorf("packed again: %v", err)
		}
	})
}

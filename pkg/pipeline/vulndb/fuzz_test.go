package vulndb

import (
	"bytes"
	"testing"
	"time"
)

// Whatever a stranger wrote as a manifest and a config is refused, or bounded: it can
// be packed again, and says the same then.
func FuzzConfig(f *testing.F) {
	d := sum([]byte("x"))
	good, err := Pack(Config{
		Schema: "6.1.10", Indexed: "6.1.10", AsOf: time.Unix(1, 0), Mirrored: time.Unix(1, 0), Providers: []Provider{{Name: "a", Records: 1}},
		File: File{d, 10}, Parts: []Part{{d, 5, 10}},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good.Manifest, good.RawConfig)
	f.Add([]byte(`{}`), []byte(`{"format":2}`))
	f.Fuzz(func(t *testing.T, rawManifest, rawConfig []byte) {
		m, err := decodeManifest(rawManifest)
		if err == nil && (m.Config.Size <= 0 || m.Config.Size > maxConfig || m.Config.Digest.IsZero()) {
			t.Errorf("accepted the config %+v", m.Config)
		}
		c, err := decodeConfig(rawConfig)
		if err != nil {
			return
		}
		_ = m.fits(c)
		var unpacked int64
		for _, p := range c.Parts {
			unpacked += p.Unpacked
		}
		if c.Records() <= 0 || c.File.Size > MaxFile || unpacked != c.File.Size {
			t.Errorf("accepted %+v", c)
		}
		a, err := Pack(c)
		if err != nil {
			return // a name that JSON spells longer
		}
		if again, err := Pack(a.Config); err != nil || !bytes.Equal(again.RawConfig, a.RawConfig) {
			t.Errorf("packed again it is %s (%v), and was %s", again.RawConfig, err, a.RawConfig)
		}
	})
}

package app

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

func newKeyFile(t *testing.T) []byte {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// Keys are those of the mounted Secret. What cannot be read changes nothing and is told once,
// without any of the key; a directory that is missing has none.
func TestKeyDirectory(t *testing.T) {
	// As the kubelet lays out a Secret: names are links into a folder that is swapped.
	dir := t.TempDir()
	write := func(version string, files map[string][]byte) {
		t.Helper()
		data := filepath.Join(dir, "..version-"+version)
		if err := os.Mkdir(data, 0o750); err != nil {
			t.Fatal(err)
		}
		_ = os.Remove(filepath.Join(dir, "..data")) // the first time there is none
		if err := os.Symlink("..version-"+version, filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
		old, err := filepath.Glob(filepath.Join(dir, "*.pem"))
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range old {
			if err := os.Remove(link); err != nil {
				t.Fatal(err)
			}
		}
		for name, content := range files {
			if err := os.WriteFile(filepath.Join(data, name), content, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(filepath.Join("..data", name), filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	core, logged := observer.New(zapcore.InfoLevel)
	keys := &keyDirectory{dir: filepath.Join(dir, "missing"), log: zap.New(core)}
	if keys.read() || !keys.Ring().Empty() || len(keys.Problems()) != 1 {
		t.Errorf("without a directory: %v, %v", keys.Ring().IDs(), keys.Problems())
	}
	keys.dir = dir
	first := newKeyFile(t)
	write("1", map[string][]byte{"2026-01-01.pem": first})
	if !keys.read() || len(keys.Ring().IDs()) != 1 || keys.Problems() != nil {
		t.Errorf("with a key: %v, %v", keys.Ring().IDs(), keys.Problems())
	}
	if keys.read() {
		t.Error("nothing changed, and it says so")
	}
	write("2", map[string][]byte{"2026-01-01.pem": first, "next.pem": first})
	for range 2 {
		if keys.read() || len(keys.Ring().IDs()) != 1 || len(keys.Problems()) != 1 {
			t.Errorf("with a broken one: %v, %v", keys.Ring().IDs(), keys.Problems())
		}
	}
	if got := logged.FilterLevelExact(zapcore.ErrorLevel).Len(); got != 1 {
		t.Errorf("it was told %d times", got)
	}
	write("3", map[string][]byte{"2026-01-01.pem": first, "2026-06-01.pem": newKeyFile(t)})
	if !keys.read() || len(keys.Ring().IDs()) != 2 || keys.Problems() != nil {
		t.Errorf("mended: %v, %v", keys.Ring().IDs(), keys.Problems())
	}
	write("4", map[string][]byte{"2026-01-01.pem": newKeyFile(t), "2026-06-01.pem": newKeyFile(t)})
	if !keys.read() {
		t.Error("other keys of the same names are no change")
	}
	block, _ := pem.Decode(first)
	for _, entry := range logged.All() {
		if text := entry.Message; strings.Contains(text, string(block.Bytes)) || strings.Contains(text, "PRIVATE KEY") {
			t.Errorf("the log shows a key: %s", text)
		}
		for _, f := range entry.Context {
			if strings.Contains(f.String, "-----BEGIN") {
				t.Errorf("the log shows a key: %s", f.String)
			}
		}
	}
}

// Options that cannot work are refused by name.
func TestAttestorOptions(t *testing.T) {
	good := DefaultAttestorOptions()
	good.FromEnvironment(func(name string) string {
		return map[string]string{"POD_NAME": "attestor-1", "SYSTEM_NAMESPACE": "revet"}[name]
	})
	if err := good.validate(); err != nil || good.SystemNamespace != "revet" {
		t.Errorf("%+v: %v", good, err)
	}
	for want, change := range map[string]func(*AttestorOptions){
		"identity":    func(o *AttestorOptions) { o.Identity = "" },
		"address":     func(o *AttestorOptions) { o.HealthAddress = "x" },
		"keys":        func(o *AttestorOptions) { o.Keys = "" },
		"verifier-id": func(o *AttestorOptions) { o.VerifierID = "revet" },
		"concurrency": func(o *AttestorOptions) { o.Concurrency = 0 },
		"recheck":     func(o *AttestorOptions) { o.Recheck = 0 },
	} {
		o := good
		change(&o)
		if err := o.validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

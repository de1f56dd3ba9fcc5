package fast

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A cluster that is started again on its directory has to know its clients, and they it.
func TestCertificatesOfADirectoryAreKept(t *testing.T) {
	dir := t.TempDir()
	first, err := newPKI(filepath.Join(dir, "pki"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := newPKI(filepath.Join(dir, "pki"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(first.ca.pem()), string(again.ca.pem())); diff != "" {
		t.Errorf("authority (-first +again):\n%s", diff)
	}
	if diff := cmp.Diff(string(first.adminCert), string(again.adminCert)); diff != "" {
		t.Errorf("administrator (-first +again):\n%s", diff)
	}
	if !first.ca.key.Equal(again.ca.key) {
		t.Error("the authority has another key")
	}
	user, err := UserConfig(dir, "127.0.0.1:1", "jane")
	if err != nil {
		t.Fatal(err)
	}
	if user.Host != "https://127.0.0.1:1" || len(user.CertData) == 0 {
		t.Errorf("the user's configuration is %+v", user)
	}
	if err := os.Remove(filepath.Join(dir, "pki", caKeyFile)); err != nil {
		t.Fatal(err)
	}
	if other, err := newPKI(filepath.Join(dir, "pki")); err != nil || first.ca.key.Equal(other.ca.key) {
		t.Errorf("what is not complete was not made anew: %v", err)
	}
}

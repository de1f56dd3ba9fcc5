package node

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestWhatIsWrittenIsLoaded(t *testing.T) {
	dir := t.TempDir()
	if _, err := Load(dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("without a description: error %v, want ErrNotRunning", err)
	}
	want := Info{
		ID: "abc", Checkout: "/src", Dir: dir, Kubeconfig: "/k", APIServer: "https://127.0.0.1:6443",
		RegistryHost: "localhost:5001", RegistryInCluster: RegistryInCluster, RegistryDir: "/r", Kubectl: "/b/kubectl",
		Logs: "/l", PID: 7, InitPID: 8, Started: time.Unix(1700000000, 0).UTC(), Versions: map[string]string{"go": "go1"},
	}
	if err := writeJSON(filepath.Join(dir, infoFile), want); err != nil {
		t.Fatal(err)
	}
	got, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&want, got); diff != "" {
		t.Errorf("info (-want +got):\n%s", diff)
	}
	if err := os.WriteFile(filepath.Join(dir, infoFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir); err == nil || errors.Is(err, ErrNotRunning) {
		t.Errorf("half a description: error %v, want another", err)
	}
}

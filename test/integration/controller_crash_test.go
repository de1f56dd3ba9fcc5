package integration

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// controllerProcess runs the controller as a process of its own, that ends as by
// kill -9 when it reaches the failpoint.
func controllerProcess(t *testing.T, binary, failpoint, events string) *exec.Cmd {
	t.Helper()
	kubeconfig := kubeconfigOf(t, account(t, systemNamespace, "controller"))
	//nolint:gosec // the binary was built by this test
	cmd := exec.CommandContext(t.Context(), binary, "--kubeconfig", kubeconfig, "--system-namespace", systemNamespace,
		"--identity", "crashing", "--address", "127.0.0.1:0", "--metrics-address", "", "--event-sink", events)
	cmd.Env = append(os.Environ(), "REVET_FAILPOINT="+failpoint)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// Property: kill -9 of the controller between any two steps of the flow gives
// one run and its verdict.
func TestControllerIsKilledBetweenAnyTwoSteps(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "controller")
	//nolint:gosec // a build of this repository into the test's own folder
	build := exec.CommandContext(t.Context(), "go", "build", "-tags", "failpoint", "-o", binary, "./cmd/controller")
	build.Dir = filepath.FromSlash("../..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the controller with failpoints: %v\n%s", err, out)
	}
	broker := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) }))
	t.Cleanup(broker.Close)
	for _, failpoint := range []string{
		"verification.fire", "verification.fired", "verification.intent", "verification.confirmed",
		"verification.outcome", "verification.emitted",
	} {
		t.Run(failpoint, func(t *testing.T) {
			namespace, _ := verifiedNamespace(t)
			push(t, namespace+"/app:v1")
			crashing := controllerProcess(t, binary, failpoint, broker.URL)
			died := make(chan error, 1)
			go func() { died <- crashing.Wait() }()
			killed := false
			eventually(t, "the controller is killed at "+failpoint, func() error {
				select {
				case err := <-died:
					var exit *exec.ExitError
					status, ok := crashing.ProcessState.Sys().(syscall.WaitStatus)
					if !errors.As(err, &exit) || !ok || status.Signal() != syscall.SIGKILL {
						t.Fatalf("it ended with %v", err)
					}
					killed = true
					return nil
				default:
				}
				for _, e := range entriesOf(t, namespace) {
					if e.Status.Phase == v1alpha1.PhaseRunning {
						standInRuns(t, namespace, "pass", "class-"+namespace)
					}
				}
				return fmt.Errorf("it still runs; entries: %d, runs: %d", len(entriesOf(t, namespace)), len(runsOf(t, namespace)))
			})
			if !killed {
				return
			}
			healthy := controllerProcess(t, binary, "", broker.URL)
			stop := sync.OnceFunc(func() {
				_ = healthy.Process.Signal(syscall.SIGTERM)
				_ = healthy.Wait()
			})
			t.Cleanup(stop)
			eventually(t, "the push has its verdict", func() error {
				entries := entriesOf(t, namespace)
				if len(entries) != 1 || entries[0].Status.Phase != v1alpha1.PhasePassed {
					if len(entries) == 1 && entries[0].Status.Phase == v1alpha1.PhaseRunning {
						standInRuns(t, namespace, "pass", "class-"+namespace)
					}
					return fmt.Errorf("there are %d entries; %+v", len(entries), entries)
				}
				if len(entries[0].Status.Emitted) < 4 {
					return fmt.Errorf("told only of %v", entries[0].Status.Emitted)
				}
				return nil
			})
			oneRunEach(t, namespace)
			stop()
		})
	}
}

// kubeconfigOf writes how an account reaches the API server, for another process.
func kubeconfigOf(t *testing.T, c *rest.Config) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	err := clientcmd.WriteToFile(clientcmdapi.Config{
		CurrentContext: "it",
		Contexts:       map[string]*clientcmdapi.Context{"it": {Cluster: "it", AuthInfo: "it"}},
		Clusters:       map[string]*clientcmdapi.Cluster{"it": {Server: c.Host, CertificateAuthorityData: c.CAData}},
		AuthInfos: map[string]*clientcmdapi.AuthInfo{"it": {
			ClientCertificateData: c.CertData, ClientKeyData: c.KeyData, Token: c.BearerToken,
		}},
	}, file)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

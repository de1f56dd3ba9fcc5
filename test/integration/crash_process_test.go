package integration

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/revet-dev/revet/test/gobuild"
	"github.com/revet-dev/revet/test/rig"
)

// program is one of Revet's programs, built with failpoints, as it is started:
// each time with the same arguments, as a Pod's container is.
type program struct {
	name, binary string
	args         []string
	// health is the address of a receiver's probes.
	health string
}

// pause is the longest wait of such a program for several API servers to learn of policies,
// as here is one. TestAGateIsDividedWithoutAGap waits in full.
const pause = 3 * time.Second

// programsDir is where programs are built, for as long as this process runs.
var programsDir string

// programsBuilt builds the programs with failpoints, once for all tests that use them.
var programsBuilt = sync.OnceValue(func() error {
	return gobuild.Source{Root: repository, Tags: "failpoint"}.Into(context.Background(), programsDir, "./cmd/receiver", "./cmd/controller", "./cmd/attestor")
})

// buildPrograms returns the folder that holds receiver, controller and attestor with failpoints.
func buildPrograms(t *testing.T, names ...string) string {
	t.Helper()
	if err := programsBuilt(); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if _, err := os.Stat(filepath.Join(programsDir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return programsDir
}

// newProgram makes a program that runs under its own account and roles.
func newProgram(t *testing.T, dir, name string, args ...string) program {
	t.Helper()
	return newProgramAt(t, dir, name, account(t, systemNamespace, name).Host, args...)
}

// newProgramAt makes one that reaches the API server at an address of its own.
func newProgramAt(t *testing.T, dir, name, server string, args ...string) program {
	t.Helper()
	all := []string{"--kubeconfig", accountFile(t, name, server), "--system-namespace", systemNamespace, "--metrics-address", ""}
	p := program{name: name, binary: filepath.Join(dir, name)}
	if name == "receiver" {
		p.health = freeAddress(t)
		all = append(all, "--health-address", p.health, "--interceptor-address", "")
	}
	p.args = slices.Concat(all, args)
	return p
}

// accountFile writes a kubeconfig of one of Revet's accounts.
func accountFile(t *testing.T, name, server string) string {
	t.Helper()
	c := account(t, systemNamespace, name)
	c.Host = server
	return kubeconfigFile(t, name, c)
}

// kubeconfigFile writes a kubeconfig of somebody.
func kubeconfigFile(t *testing.T, name string, c *rest.Config) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name+".kubeconfig")
	err := clientcmd.WriteToFile(clientcmdapi.Config{
		CurrentContext: name,
		Contexts:       map[string]*clientcmdapi.Context{name: {Cluster: name, AuthInfo: name}},
		Clusters:       map[string]*clientcmdapi.Cluster{name: {Server: c.Host, CertificateAuthorityData: c.CAData}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{name: {ClientCertificateData: c.CertData, ClientKeyData: c.KeyData}},
	}, file)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// process is a program that was started.
type process struct {
	t       *testing.T
	program program
	command *exec.Cmd
	log     string        // the file that it logs to
	ended   chan struct{} // closed once err is set
	err     error
	stop    func()
}

// start runs a program until it ends or the test does. It kills itself at the
// failpoint; at none if that is empty. What it logged is shown if the test fails.
func (p program) start(t *testing.T, failpoint string) *process {
	t.Helper()
	log, err := os.CreateTemp(t.TempDir(), p.name+"-*.log")
	if err != nil {
		t.Fatal(err)
	}
	// What ends with the test would be killed before it can give its lease back.
	command := exec.CommandContext(context.WithoutCancel(t.Context()), p.binary, p.args...)
	command.Env = append(os.Environ(), "REVET_FAILPOINT="+failpoint, "REVET_FAILPOINT_PAUSE="+pause.String())
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	started := &process{t: t, program: p, command: command, log: log.Name(), ended: make(chan struct{})}
	go func() {
		started.err = command.Wait()
		close(started.ended)
	}()
	started.stop = sync.OnceFunc(started.terminate)
	t.Cleanup(func() {
		started.stop()
		_ = log.Close()
		if content, err := os.ReadFile(log.Name()); t.Failed() {
			t.Logf("%s, failpoint %q, logged (%v):\n%s", p.name, failpoint, err, content)
		}
	})
	return started
}

func (p *process) terminate() {
	select {
	case <-p.ended:
		return
	default:
	}
	_ = p.command.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(20 * time.Second):
		_ = p.command.Process.Kill()
		<-p.ended
		p.t.Errorf("the %s has not ended 20 s after SIGTERM", p.program.name)
	}
}

// killed waits until the process ended, and fails unless signal 9 ended it: the
// failpoint was reached. Until then it calls meanwhile.
func (p *process) killed(meanwhile func()) {
	p.t.Helper()
	p.killedWithin(30*time.Second, meanwhile)
}

// killedWithin is killed with more time.
func (p *process) killedWithin(limit time.Duration, meanwhile func()) {
	p.t.Helper()
	within(p.t, limit, "the "+p.program.name+" is killed", func() error {
		select {
		case <-p.ended:
			return nil
		default:
			meanwhile()
			return errors.New("it still runs")
		}
	})
	status, ok := p.command.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() || status.Signal() != syscall.SIGKILL {
		p.t.Fatalf("the %s ended with %v, want signal 9", p.program.name, p.err)
	}
}

// answering waits until a receiver is ready.
func (p *process) answering() {
	p.t.Helper()
	eventually(p.t, "the "+p.program.name+" is ready", func() error {
		select {
		case <-p.ended:
			p.t.Fatalf("the %s ended with %v", p.program.name, p.err)
		default:
		}
		request, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, "http://"+p.program.health+"/readyz", nil)
		if err != nil {
			return err
		}
		code, err := do(request)
		if err == nil && code != http.StatusOK {
			err = fmt.Errorf("answered %d", code)
		}
		return err
	})
}

// freeAddress chooses the address of a program that is started several times.
func freeAddress(t *testing.T) string {
	t.Helper()
	address, err := rig.FreeAddress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// adapter stands for Knative's ApiServerSource: it sends what a watch shows.
type adapter struct {
	t       *testing.T
	address string
}

// try sends a stream as it is now, once.
func (a adapter) try(namespace, stream string) (int, error) {
	a.t.Helper()
	is := streamNamed(a.t, namespace, stream)
	is.TypeMeta = metav1.TypeMeta{APIVersion: "image.openshift.io/v1", Kind: "ImageStream"}
	e := cloudevents.NewEvent()
	e.SetID(string(is.UID) + "-" + is.ResourceVersion)
	e.SetType("dev.knative.apiserver.resource.update")
	e.SetSource("https://10.96.0.1:443")
	e.SetSubject("/apis/image.openshift.io/v1/namespaces/" + namespace + "/imagestreams/" + stream)
	for extension, value := range map[string]string{"apiversion": is.APIVersion, "kind": is.Kind, "name": stream, "namespace": namespace} {
		e.SetExtension(extension, value)
	}
	if err := e.SetData(cloudevents.ApplicationJSON, is); err != nil {
		a.t.Fatal(err)
	}
	request, err := cehttp.NewHTTPRequestFromEvent(a.t.Context(), "http://"+a.address+"/", e)
	if err != nil {
		a.t.Fatal(err)
	}
	return do(request)
}

// deliver sends until it is accepted, also when the connection breaks.
func (a adapter) deliver(namespace, stream string) {
	a.t.Helper()
	eventually(a.t, "the event is accepted", func() error {
		code, err := a.try(namespace, stream)
		if err == nil && code != http.StatusAccepted {
			err = fmt.Errorf("answered %d", code)
		}
		return err
	})
}

// do uses a connection of its own: one that is kept may be to a process that ended.
func do(request *http.Request) (int, error) {
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	return response.StatusCode, response.Body.Close()
}

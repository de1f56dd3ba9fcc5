package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/coverage"
	"github.com/revet-dev/revet/test/cluster/registry"
)

// thirdParty is a registry with one image, which nobody pushes here.
func thirdParty(t *testing.T) (host, digest string) {
	t.Helper()
	r, err := registry.Start(t.Context(), registry.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Stop(); err != nil {
			t.Error(err)
		}
	})
	img, err := random.Image(64, 1)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(r.Addr()+"/library/tool:1.0", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, img, remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}
	d, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return r.Addr(), d.String()
}

// entryNamed returns an entry, which has to be there.
func entryNamed(t *testing.T, namespace, name string) v1alpha1.ImageVerification {
	t.Helper()
	for _, e := range entriesOf(t, namespace) {
		if e.Name == name {
			return e
		}
	}
	t.Fatalf("there is no entry %q", name)
	return v1alpha1.ImageVerification{}
}

// stands waits until an entry is in a phase for a reason.
func stands(t *testing.T, namespace, name string, phase v1alpha1.Phase, reason string) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s is %s/%s", name, phase, reason), func() error {
		if e := entryNamed(t, namespace, name); e.Status.Phase != phase || e.Status.Reason != reason {
			return fmt.Errorf("it is %s/%s: %s", e.Status.Phase, e.Status.Reason, e.Status.Message)
		}
		return nil
	})
}

// A person with one role has a third party's digest verified, once for each time that they
// ask. It waits until the operator lists its registry; the exit status is the verdict; and
// coverage takes it for nothing that was pushed.
func TestVerifyAThirdPartysDigest(t *testing.T) {
	ownCluster(t)
	namespace, stand := verifiedNamespace(t)
	startController(t, "one")
	userWith(t, namespace, "jane", "revet-replay")
	config, err := clusterOf(t).UserConfig("jane", "system:authenticated")
	if err != nil {
		t.Fatal(err)
	}
	host, digest := thirdParty(t)
	args := []string{"verify", host + "/library/tool:1.0@" + digest, "-n", namespace, "--kubeconfig", kubeconfigFile(t, "jane", config)}
	eventually(t, "jane's role is in force", func() error {
		if r := revet(t, args...); r.status != 0 || !strings.Contains(r.errOut, "it is not known whether Revet may read") {
			return fmt.Errorf("status %d, %s%s", r.status, r.out, r.errOut)
		}
		return nil
	})
	entry := entriesOf(t, namespace)[0]
	stands(t, namespace, entry.Name, v1alpha1.PhasePending, "RegistryNotAllowed")
	if r := revet(t, append(args, "--wait", "--timeout", "1s")...); r.status != 2 || !strings.Contains(r.errOut, "RegistryNotAllowed") {
		t.Errorf("an unlisted registry: status %d, %s%s", r.status, r.out, r.errOut)
	}
	if got := stand.asked(); got != 0 {
		t.Fatalf("the sink was asked for %d runs of an unlisted registry", got)
	}

	setConfig(t, "config-registries", map[string]string{
		"registries.yaml": fmt.Sprintf("- {name: third, host: %q, insecure: true, namespaces: [%s]}", host, namespace),
	})
	done := make(chan typed)
	go func() { done <- revet(t, append(args, "--wait")...) }()
	var r typed
	deadline := time.After(2 * time.Minute)
	for waiting := true; waiting; {
		standInRuns(t, namespace, "pass", "class-"+namespace)
		select {
		case r = <-done:
			waiting = false
		case <-deadline:
			t.Fatal("no verdict within two minutes")
		case <-time.After(50 * time.Millisecond):
		}
	}
	if r.status != 0 || !strings.HasSuffix(r.out, "Passed\n") {
		t.Fatalf("status %d, %s%s", r.status, r.out, r.errOut)
	}
	entry = entryNamed(t, namespace, entry.Name)
	causes := map[string]int{}
	for _, run := range entry.Status.Runs {
		causes[string(run.Cause.Type)+" "+run.Cause.Key]++
	}
	for _, id := range entry.Spec.Requests {
		if causes["Manual "+id] != 1 {
			t.Errorf("request %s has %d runs, want 1", id, causes["Manual "+id])
		}
	}
	if len(causes) != 3 || len(entry.Tags()) != 0 || stand.asked() != 3 {
		t.Errorf("causes %v, tags %v, %d runs; want three requests, and no push", causes, entry.Tags(), stand.asked())
	}
	nothingIsCovered := coverage.Report{Namespace: namespace, Trigger: "vet", State: v1alpha1.CoverageCovered}
	wantCoverage(t, nothingIsCovered, 0)
	nothingIsCovered.Verified = true
	wantCoverage(t, nothingIsCovered, 0, "--verify")
}

// What a policy of the API server cannot tell, the controller does: an entry of another
// name, or of another trigger, ends without a run and says so.
func TestAnEntryThatIsNotWhatItClaimsNeverRuns(t *testing.T) {
	ownCluster(t)
	namespace, stand := verifiedNamespace(t)
	elsewhere, _ := verifiedNamespace(t)
	startController(t, "one")
	host, digest := thirdParty(t)
	setConfig(t, "config-registries", map[string]string{
		"registries.yaml": fmt.Sprintf("- {name: third, host: %q, insecure: true, namespaces: [%s, %s]}", host, namespace, elsewhere),
	})
	jane := userWith(t, namespace, "jane", "revet-replay")
	eventually(t, "the role is in force", func() error {
		err := jane.Create(t.Context(), manualEntry(t, triggerNamed(t, namespace, "vet"), host+"/library/tool@"+digest))
		if apierrors.IsAlreadyExists(err) {
			return nil
		}
		return err
	})
	inPhase(t, namespace, 1, v1alpha1.PhaseRunning)
	misnamed := manualEntry(t, triggerNamed(t, namespace, "vet"), host+"/library/tool@sha256:"+strings.Repeat("a", 64))
	misnamed.Name = "tool-" + strings.Repeat("b", 32)
	foreign := manualEntry(t, triggerNamed(t, elsewhere, "vet"), host+"/library/tool@"+digest)
	foreign.Namespace = namespace
	for _, e := range []*v1alpha1.ImageVerification{misnamed, foreign} {
		if err := jane.Create(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	stands(t, namespace, misnamed.Name, v1alpha1.PhaseSkipped, "EntryForged")
	stands(t, namespace, foreign.Name, v1alpha1.PhaseSkipped, "TriggerDeleted")
	if e := entryNamed(t, namespace, misnamed.Name); !strings.HasSuffix(e.Status.Message, "kubectl delete imageverification "+e.Name+" -n "+namespace) {
		t.Errorf("it says %q", e.Status.Message)
	}
	if got := stand.asked(); got != 1 {
		t.Errorf("the sink was asked for %d runs, want that of the good entry alone", got)
	}
	if got := len(entriesOf(t, elsewhere)); got != 0 {
		t.Errorf("the other namespace has %d entries", got)
	}
}

package integration

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/app"
	"github.com/revet-dev/revet/pkg/cli"
	"github.com/revet-dev/revet/pkg/coverage"
	"github.com/revet-dev/revet/pkg/source"
	"github.com/revet-dev/revet/pkg/sweep"
)

// covered is what "kubectl revet coverage" says of the trigger vet of a namespace,
// and its exit status.
func covered(t *testing.T, namespace string, args ...string) (coverage.Report, int, error) {
	t.Helper()
	var out, errOut bytes.Buffer
	args = append([]string{"coverage", "vet", "-n", namespace, "-o", "json", "--kubeconfig", clusterOf(t).Kubeconfig()}, args...)
	status := cli.Run(t.Context(), args, genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &errOut})
	var reports []coverage.Report
	if err := json.Unmarshal(out.Bytes(), &reports); err != nil || len(reports) != 1 {
		return coverage.Report{}, status, fmt.Errorf("status %d, output %q, errors %q, %w", status, &out, &errOut, errors.Join(err, errors.New("not one report")))
	}
	return reports[0], status, nil
}

// wantCoverage waits for a report: of the parts that do not depend on time.
func wantCoverage(t *testing.T, want coverage.Report, status int, args ...string) coverage.Report {
	t.Helper()
	var got coverage.Report
	eventually(t, fmt.Sprintf("coverage %q", args), func() error {
		var code int
		var err error
		if got, code, err = covered(t, want.Namespace, args...); err != nil {
			return err
		}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(coverage.Report{}, "AsOf", "Uncovered")); diff != "" || code != status {
			return fmt.Errorf("status %d, want %d; (-want +got):\n%s", code, status, diff)
		}
		return nil
	})
	return got
}

// Fifty pushes of which no event tells, ten of them on one tag one after another,
// are recorded by the sweep of a controller that starts, the history of the tags
// included; and what is then missing from the ledger is seen.
func TestCoverageOfPushesThatOnlySweepsSaw(t *testing.T) {
	ownCluster(t)
	namespace, _ := verifiedNamespace(t)
	pushed := map[string][]string{}
	for tag, times := range map[string]int{"busy": 10, "prod": 20, "next": 20} {
		for range times {
			pushed[tag] = append(pushed[tag], pushRunnable(t, namespace+"/web:"+tag))
		}
	}
	stop := startController(t, "one")
	all := coverage.Report{Namespace: namespace, Trigger: "vet", State: v1alpha1.CoverageCovered, Repositories: 1, Pushes: 50, Covered: 50, Pending: 50, Recovered: 50}
	wantCoverage(t, all, 0)
	inPhase(t, namespace, 50, v1alpha1.PhaseRunning)
	all.Verified = true
	wantCoverage(t, all, 0, "--verify")

	standInRuns(t, namespace, "pass", "class-"+namespace)
	inPhase(t, namespace, 50, v1alpha1.PhasePassed)
	all.Pending = 0
	wantCoverage(t, all, 0, "--verify")
	all.Verified = false
	wantCoverage(t, all, 0)
	for tag, digests := range pushed {
		for _, e := range entriesOf(t, namespace) {
			for i, d := range digests {
				if e.Spec.Digest == d && (e.Spec.FirstPush.Tag != tag || e.Spec.FirstPush.Source != v1alpha1.SourceSweep) {
					t.Errorf("push %d of tag %q: %+v", i, tag, e.Spec.FirstPush)
				}
			}
		}
	}

	stop()
	var lost v1alpha1.ImageVerification
	for _, e := range entriesOf(t, namespace) {
		if e.Spec.Digest == pushed["busy"][4] {
			lost = e
		}
	}
	if err := admin(t).Delete(t.Context(), &lost); err != nil {
		t.Fatal(err)
	}
	all.State, all.Verified, all.Covered, all.Recovered, all.Gap = v1alpha1.CoverageGap, true, 49, 49, 1
	got := wantCoverage(t, all, 1, "--verify")
	if len(got.Uncovered) != 1 || got.Uncovered[0].Digest != lost.Spec.Digest || got.Uncovered[0].Tag != "busy" || got.Uncovered[0].Reason != coverage.NotRecorded {
		t.Errorf("uncovered %+v", got.Uncovered)
	}

	// Whoever leads next finds it again. It is another entry now, with a run of its own.
	startController(t, "two")
	all.State, all.Pending, all.Covered, all.Recovered, all.Gap = v1alpha1.CoverageCovered, 1, 50, 50, 0
	wantCoverage(t, all, 0, "--verify")
}

// pushRunnable pushes an image whose Image object shows that it runs.
func pushRunnable(t *testing.T, reference string) (digest string) {
	t.Helper()
	img, err := random.Image(64, 1)
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Config.Cmd = "linux", "amd64", []string{"/app"}
	if img, err = mutate.ConfigFile(img, config); err != nil {
		t.Fatal(err)
	}
	return pushImage(t, reference, img)
}

// Sweeps without a break beside a receiver, while every other event is lost, end with
// one entry and one run for each push.
func TestSweepsBesideAReceiver(t *testing.T) {
	ownCluster(t)
	namespace, _ := verifiedNamespace(t)
	startController(t, "one", func(o *app.ControllerOptions) { o.SweepInterval = time.Second })
	r := receiver(t)
	const streams, each = 4, 12
	var all sync.WaitGroup
	for s := range streams {
		all.Go(func() {
			stream := fmt.Sprintf("app%d", s)
			for n := range each {
				push(t, fmt.Sprintf("%s/%s:v%d", namespace, stream, n%3))
				if n%2 == 0 {
					continue
				}
				if code, body := send(t, r, streamNamed(t, namespace, stream)); code != http.StatusAccepted {
					t.Errorf("the receiver answered %d %s", code, body)
				}
			}
		})
	}
	all.Wait()
	inPhase(t, namespace, streams*each, v1alpha1.PhaseRunning)
	oneRunEach(t, namespace)
	got, status, err := covered(t, namespace, "--verify")
	if err != nil || status != 0 || got.Pushes != streams*each || got.Covered != streams*each || got.Doubled != 0 {
		t.Errorf("status %d, %v, report %+v", status, err, got)
	}
	t.Logf("%d of %d pushes were recovered by sweeps", got.Recovered, got.Pushes)
}

// A trigger whose account sees nothing, or not everything, has no coverage that anybody
// knows, by the latest sweep as well as by a look at everything. The command that the cure
// names makes it known.
func TestCoverageOfAnAccountThatSeesNothing(t *testing.T) {
	ownCluster(t)
	namespace := newNamespace(t)
	trigger(t, namespace)
	stop := startController(t, "one")
	hidden := func(message string) v1alpha1.Unknown {
		return v1alpha1.Unknown{Reason: sweep.StreamsNotVisible, Count: 1, Message: message, Cure: source.Account{Namespace: namespace, Name: "default"}.GrantImageStreams(namespace)}
	}
	message := fmt.Sprintf("service account \"default\" may not get ImageStreams in namespace %q, so Revet records no push to them", namespace)
	want := coverage.Report{Namespace: namespace, Trigger: "vet", State: v1alpha1.CoverageNotKnown, Unknown: []v1alpha1.Unknown{hidden(message)}}
	wantCoverage(t, want, 1)
	want.Verified = true
	wantCoverage(t, want, 1, "--verify")

	pushRunnable(t, namespace+"/web:v1")
	want.Repositories = 1
	wantCoverage(t, want, 1, "--verify")

	mayGet(t, namespace)
	uncovered := coverage.Report{Namespace: namespace, Trigger: "vet", State: v1alpha1.CoverageGap, Verified: true, Repositories: 1, Pushes: 1, Gap: 1}
	wantCoverage(t, uncovered, 1, "--verify")
	stop()
	stop2 := startController(t, "two") // it sweeps at its start
	uncovered.State, uncovered.Gap, uncovered.Covered, uncovered.Pending, uncovered.Recovered = v1alpha1.CoverageCovered, 0, 1, 1, 1
	wantCoverage(t, uncovered, 0, "--verify")
	uncovered.Verified = false
	wantCoverage(t, uncovered, 0)

	// Nobody can tell whether this is an artefact: no registry can be read here.
	stop2()
	push(t, namespace+"/web:v2")
	got, status, err := covered(t, namespace, "--verify")
	if err != nil || status != 1 || got.State != v1alpha1.CoverageNotKnown || got.Gap != 1 || len(got.Unknown) != 1 || got.Unknown[0].Reason != coverage.NotReadable {
		t.Errorf("status %d, %v, report %+v", status, err, got)
	}
}

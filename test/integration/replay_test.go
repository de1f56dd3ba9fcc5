package integration

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli"
	"github.com/revet-dev/revet/pkg/cli/doctor"
)

// typed is what a command line gave.
type typed struct {
	status      int
	out, errOut string
}

func revet(t *testing.T, args ...string) typed {
	t.Helper()
	var out, errOut bytes.Buffer
	status := cli.Run(t.Context(), args, genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &errOut})
	return typed{status, out.String(), errOut.String()}
}

// bindReplay gives a user the role for people who may ask for another run.
func bindReplay(t *testing.T, namespace, user string) {
	t.Helper()
	err := admin(t).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "replay"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "revet-replay"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: user}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// manualRun waits until the namespace's one entry has run a request by hand, and
// returns that run.
func manualRun(t *testing.T, namespace string) v1alpha1.RunStatus {
	t.Helper()
	var run v1alpha1.RunStatus
	eventually(t, "the request has its run", func() error {
		standInRuns(t, namespace, "pass", "class-"+namespace)
		entries := entriesOf(t, namespace)
		if len(entries) != 1 {
			return fmt.Errorf("there are %d entries", len(entries))
		}
		s := entries[0].Status
		if s.Phase != v1alpha1.PhasePassed || s.RunCount != 2 {
			return fmt.Errorf("it is %s/%s with %d runs", s.Phase, s.Reason, s.RunCount)
		}
		run = s.Runs[1]
		return nil
	})
	return run
}

// A person with one role asks for another run and gets it, once, and may change
// nothing else of the ledger. The same cluster is then found to be in order, but
// for what it does not have.
func TestReplayAndDoctor(t *testing.T) {
	ownCluster(t)
	namespace, stand := verifiedNamespace(t)
	startController(t, "one")
	push(t, namespace+"/app:v1")
	if code, body := send(t, receiver(t), streamNamed(t, namespace, "app")); code != http.StatusAccepted {
		t.Fatalf("the receiver answered %d %s", code, body)
	}
	inPhase(t, namespace, 1, v1alpha1.PhaseRunning)
	standInRuns(t, namespace, "pass", "class-"+namespace)
	inPhase(t, namespace, 1, v1alpha1.PhasePassed)

	config, err := clusterOf(t).UserConfig("jane")
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"replay", namespace + "/app:v1", "-n", namespace, "--kubeconfig", kubeconfigFile(t, "jane", config)}
	if r := revet(t, args...); r.status != 1 || !strings.Contains(r.errOut, "forbidden") {
		t.Fatalf("without a role: status %d, %s", r.status, r.errOut)
	}
	bindReplay(t, namespace, "jane")
	eventually(t, "the role is in force", func() error {
		if r := revet(t, append(args, "--dry-run")...); r.status != 0 || !strings.Contains(r.out, "(dry run)") {
			return fmt.Errorf("status %d, %s%s", r.status, r.out, r.errOut)
		}
		return nil
	})
	if got := entriesOf(t, namespace)[0].Spec.Requests; got != nil {
		t.Fatalf("a dry run asked for %v", got)
	}
	r := revet(t, args...)
	if r.status != 0 || !strings.Contains(r.out, "jane-") {
		t.Fatalf("status %d, %s%s", r.status, r.out, r.errOut)
	}
	run := manualRun(t, namespace)
	if want := (v1alpha1.Cause{Type: v1alpha1.CauseManual, Key: entriesOf(t, namespace)[0].Spec.Requests[0]}); run.Cause != want {
		t.Errorf("the run's cause is %+v, want %+v", run.Cause, want)
	}
	if got := len(stand.counted()); got != 2 {
		t.Errorf("the sink was asked for %d runs, want 2", got)
	}
	refusesTheRest(t, namespace)
	diagnosed(t, namespace)
}

// refusesTheRest checks that the role for replays changes nothing but requests.
func refusesTheRest(t *testing.T, namespace string) {
	t.Helper()
	config, err := clusterOf(t).UserConfig("jane")
	if err != nil {
		t.Fatal(err)
	}
	jane := clientOf(t, config)
	entry := entriesOf(t, namespace)[0]
	entry.Labels[v1alpha1.TriggerUIDLabel] = "another"
	if err := jane.Update(t.Context(), &entry); !apierrors.IsForbidden(err) {
		t.Errorf("changing a label: %v", err)
	}
	entry = entriesOf(t, namespace)[0]
	entry.Status.Phase = v1alpha1.PhaseFailed
	if err := jane.Status().Update(t.Context(), &entry); !apierrors.IsForbidden(err) {
		t.Errorf("changing the status: %v", err)
	}
}

// diagnosed runs doctor over a cluster that lacks Deployments and Knative.
func diagnosed(t *testing.T, namespace string) {
	t.Helper()
	eventually(t, "the trigger is swept", func() error {
		if triggerNamed(t, namespace, "vet").Status.LastSweep == nil {
			return errors.New("it has no sweep yet")
		}
		return nil
	})
	r := revet(t, "doctor", "vet", "-n", namespace, "-o", "json", "--kubeconfig", clusterOf(t).Kubeconfig())
	var exam doctor.Report
	if err := json.Unmarshal([]byte(r.out), &exam); err != nil || len(exam.Triggers) != 1 {
		t.Fatalf("%v: %s%s", err, r.out, r.errOut)
	}
	levels := map[string]doctor.Level{}
	for _, d := range append(exam.Installation, exam.Triggers[0].Findings...) {
		levels[d.Check] = d.Level
	}
	want := map[string]doctor.Level{
		"ImageTrigger": doctor.LevelOK, "ImageVerification": doctor.LevelOK, "receiver": doctor.LevelProblem, "controller": doctor.LevelProblem,
		"leader": doctor.LevelOK, "attestor": doctor.LevelOK, "ledger policy": doctor.LevelOK, "PipelineRun": doctor.LevelOK, "EventListener": doctor.LevelOK,
		"ImageStream": doctor.LevelOK, "ApiServerSource": doctor.LevelWarning,
		"FilterValid": doctor.LevelOK, "SinkResolved": doctor.LevelOK, "TemplateAccepted": doctor.LevelOK, "Authorized": doctor.LevelOK,
		"sink":  doctor.LevelWarning, // it takes requests of whoever reaches it
		"Ready": doctor.LevelOK, "sandbox": doctor.LevelOK, "source": doctor.LevelWarning, "sweep": doctor.LevelOK, "waiting": doctor.LevelOK,
	}
	if diff := cmp.Diff(want, levels); diff != "" || r.status != 1 {
		t.Errorf("status %d, want 1; levels (-want +got):\n%s\n%s", r.status, diff, r.out)
	}
}

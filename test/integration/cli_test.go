package integration

import (
	"bytes"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli"
)

const cliDigest = "sha256:cb61bde6eb638a6d78d99d05c1c7d0a5939d3d297dcd6998a495cf5d191bad24"

// The command line reads what a real API server stored, by a real kubeconfig.
func TestKubectlRevetReadsTheLedger(t *testing.T) {
	t.Setenv("KUBECONFIG", shared.Kubeconfig())
	namespace := newNamespace(t)
	pushed := metav1.Now()
	entry := &v1alpha1.ImageVerification{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "app-1"},
		Spec: v1alpha1.ImageVerificationSpec{
			Trigger:    v1alpha1.TriggerReference{Name: "prod", UID: "t1"},
			Repository: v1alpha1.RepositoryReference{Kind: v1alpha1.RepositoryImageStream, Name: namespace + "/app", UID: "u1", Pull: "registry:5000/" + namespace + "/app"},
			Digest:     cliDigest,
			FirstPush:  v1alpha1.PushRecord{Tag: "latest", PushedAt: pushed, ObservedAt: metav1.NowMicro(), Source: v1alpha1.SourceEvent},
		},
	}
	// Nobody but Revet writes the ledger, an administrator neither.
	writer := clientOf(t, account(t, systemNamespace, "receiver"))
	if err := writer.Create(t.Context(), entry); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		args   []string
		status int
		want   string
	}{
		{"get prints the entry", []string{"get", "-n", namespace}, 0, namespace + "/app"},
		{"get prints it among all", []string{"get", "-A", "-o", "wide"}, 0, cliDigest},
		{"explain tells its story", []string{"explain", "localhost:5001/" + namespace + "/app:latest", "-n", namespace}, 0, "recorded "},
		{"explain says what there is instead", []string{"explain", namespace + "/app:v9", "-n", namespace}, 1, "there are " + namespace + "/app (latest)"},
		{"completion knows the name", []string{"__complete", "explain", "-n", namespace, ""}, 0, "app-1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out, errOut bytes.Buffer
			status := cli.Run(t.Context(), test.args, genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &errOut})
			if status != test.status || !strings.Contains(out.String()+errOut.String(), test.want) {
				t.Errorf("status %d, output %q, errors %q; want status %d and %q", status, &out, &errOut, test.status, test.want)
			}
		})
	}
}

package coverage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	fakeregistry "github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	ggcrtypes "github.com/google/go-containerregistry/pkg/v1/types"
	imagev1 "github.com/openshift/api/image/v1"
	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"knative.dev/pkg/apis"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/command"
	"github.com/revet-dev/revet/pkg/cli/commandtest"
	"github.com/revet-dev/revet/pkg/config"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/kube"
	"github.com/revet-dev/revet/pkg/ledger"
	"github.com/revet-dev/revet/pkg/push"
)

// fixture is a cluster with one trigger in the namespace demo, two streams, and their
// entries and runs. Functions change it.
type fixture struct {
	objects []client.Object
	// rights: the user may ask about rights, and read Images; localRights: about rights in
	// the own namespace alone.
	rights, localRights bool
	// hidden: the trigger's account may get no ImageStream.
	hidden bool
	// unlisted: the user may read none of the operator's lists; untrusted: no certificates.
	unlisted, untrusted bool
	// noRuns: the cluster has no PipelineRuns.
	noRuns bool
	fail   error
}

var fixtureRepository = push.Repository{Kind: push.ImageStream, Name: "demo/app", UID: "u1"}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	made := metav1.NewTime(commandtest.At(time.Hour))
	trigger := &v1alpha1.ImageTrigger{
		ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "prod", UID: "t1", CreationTimestamp: made},
		Spec:       v1alpha1.ImageTriggerSpec{Images: []v1alpha1.ImageSelector{{ImageStreams: &v1alpha1.ImageStreamSelector{}}}},
	}
	trigger.Status.LastSweep = &v1alpha1.SweepStatus{StartedAt: *commandtest.Second(time.Minute), FinishedAt: *commandtest.Second(time.Minute), Repositories: 1, Recovered: 1, Pushes: 3, Gap: 1, Artefacts: 2, Coverage: v1alpha1.CoverageGap}
	trigger.MarkSwept("compared", commandtest.Now)
	stream := &imagev1.ImageStream{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "app", UID: "u1"}}
	for tag, shown := range map[string][]imagev1.TagEvent{
		"latest": {{Created: *commandtest.Second(5 * time.Minute), Image: commandtest.DigestB}, {Created: *commandtest.Second(20 * time.Minute), Image: commandtest.DigestA}},
		"v1":     {{Created: *commandtest.Second(20 * time.Minute), Image: commandtest.DigestA}},
	} {
		stream.Status.Tags = append(stream.Status.Tags, imagev1.NamedTagEventList{Tag: tag, Items: shown})
	}
	e, pr := verified(t, commandtest.DigestA, map[string]v1alpha1.PushSource{"latest": v1alpha1.SourceEvent, "v1": v1alpha1.SourceSweep}, 20*time.Minute)
	return &fixture{rights: true, objects: []client.Object{trigger, stream, e, pr}}
}

// verified is an entry of a digest that passed, and the PipelineRun of it.
func verified(t *testing.T, of string, tags map[string]v1alpha1.PushSource, before time.Duration) (*v1alpha1.ImageVerification, *pipelinev1.PipelineRun) {
	t.Helper()
	d, err := image.ParseDigest(of)
	if err != nil {
		t.Fatal(err)
	}
	e := commandtest.Entry(ledger.EntryName("t1", fixtureRepository, d), "demo/app", of, v1alpha1.PushRecord{})
	e.UID = types.UID("entry-" + d.Hex()[:4])
	for tag, source := range tags {
		pushed := commandtest.Record(tag, before, time.Second, source)
		e.Spec.FirstPush = pushed
		e.Status.Tags = append(e.Status.Tags, v1alpha1.TagStatus{PushRecord: pushed, Run: 1})
	}
	run := v1alpha1.RunStatus{Number: 1, Name: ledger.RunName(&e, 1), Cause: v1alpha1.Cause{Type: v1alpha1.CausePush, Key: "latest"},
		RequestedAt: *commandtest.Micro(before), FinishedAt: commandtest.Second(time.Minute), Outcome: v1alpha1.OutcomePass, Digest: of}
	e.Status.Phase, e.Status.RunCount, e.Status.Runs = v1alpha1.PhasePassed, 1, []v1alpha1.RunStatus{run}
	pr := &pipelinev1.PipelineRun{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: run.Name, Labels: map[string]string{v1alpha1.RunLabel: run.Name},
		Annotations: map[string]string{v1alpha1.EntryUIDAnnotation: string(e.UID), v1alpha1.DigestAnnotation: of}}}
	pr.Status.SetCondition(&apis.Condition{Type: apis.ConditionSucceeded, Status: corev1.ConditionTrue})
	pr.Status.Results = []pipelinev1.PipelineRunResult{
		{Name: "verdict", Value: *pipelinev1.NewStructuredValues("pass")}, {Name: "digest", Value: *pipelinev1.NewStructuredValues(of)},
	}
	return &e, pr
}

// show adds the Image object of the push that the fixture lacks, which shows that it runs.
func (s *fixture) show() {
	img := &imagev1.Image{ObjectMeta: metav1.ObjectMeta{Name: commandtest.DigestB}, DockerImageLayers: []imagev1.ImageLayer{{Name: commandtest.DigestB, MediaType: "application/vnd.oci.image.layer.v1.tar+gzip"}}}
	img.DockerImageMetadata.Raw = []byte(`{"Architecture":"amd64","Os":"linux","Config":{}}`)
	s.objects = append(s.objects, img)
}

// complete adds what covers the push that the fixture lacks.
func (s *fixture) complete(t *testing.T) {
	t.Helper()
	e, pr := verified(t, commandtest.DigestB, map[string]v1alpha1.PushSource{"latest": v1alpha1.SourceEvent}, 5*time.Minute)
	s.objects = append(s.objects, e, pr)
	s.trigger().Status.LastSweep.Gap, s.trigger().Status.LastSweep.Coverage = 0, v1alpha1.CoverageCovered
}

func (s *fixture) trigger() *v1alpha1.ImageTrigger { return s.objects[0].(*v1alpha1.ImageTrigger) }

func (s *fixture) connect(f *command.ClusterFlags) (command.Cluster, error) {
	scheme, err := kube.NewScheme()
	if err != nil {
		return command.Cluster{}, err
	}
	c := interceptor.NewClient(fake.NewClientBuilder().WithScheme(scheme).WithObjects(s.objects...).Build(), interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			switch review := o.(type) {
			case *authorizationv1.SubjectAccessReview:
				review.Status.Allowed = !s.hidden
				if !s.rights {
					return apierrors.NewForbidden(schema.GroupResource{Resource: "subjectaccessreviews"}, "", errors.New("no"))
				}
			case *authorizationv1.LocalSubjectAccessReview:
				review.Status.Allowed = !s.hidden
				if !s.localRights {
					return apierrors.NewForbidden(schema.GroupResource{Resource: "localsubjectaccessreviews"}, "", errors.New("no"))
				}
			default:
				return errors.New("a command writes to the cluster")
			}
			return nil
		},
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if _, ok := o.(*imagev1.Image); ok && !s.rights {
				return apierrors.NewForbidden(schema.GroupResource{Resource: "images"}, key.Name, errors.New("no"))
			}
			if _, ok := o.(*corev1.ConfigMap); ok && (s.unlisted || s.untrusted && key.Name == config.CertificatesConfigMap) {
				return apierrors.NewForbidden(schema.GroupResource{Resource: "configmaps"}, key.Name, errors.New("no"))
			}
			return c.Get(ctx, key, o, opts...)
		},
		List: func(ctx context.Context, c client.WithWatch, l client.ObjectList, opts ...client.ListOption) error {
			if s.fail != nil {
				return s.fail
			}
			if _, ok := l.(*pipelinev1.PipelineRunList); ok && s.noRuns {
				return &meta.NoKindMatchError{}
			}
			return c.List(ctx, l, opts...)
		},
	})
	namespace := "demo"
	if *f.Config.Namespace != "" {
		namespace = *f.Config.Namespace
	}
	return command.Cluster{Reader: c, Namespace: namespace}, nil
}

func TestCoverage(t *testing.T) {
	gap := "error: 1 of 3 pushes are not covered\n"
	notKnown := "error: the coverage of 1 of 1 triggers is not known\n"
	for _, test := range []struct {
		name, golden string
		change       func(*testing.T, *fixture)
		args         []string
		status       int
		errOut       string
	}{
		{"a gap, by the latest sweep", "gap.txt", nil, nil, 1, gap},
		{"a gap, by a look at everything", "verify-gap.txt", func(_ *testing.T, s *fixture) { s.show() }, []string{"--verify"}, 1, gap},
		{"the same as JSON", "verify-gap.json", func(_ *testing.T, s *fixture) { s.show() }, []string{"prod", "--verify", "-o", "json"}, 1, gap},
		{"what is not covered cannot be read", "verify-unread.txt", nil, []string{"--verify"}, 1,
			"error: 1 of 3 pushes are not covered; the coverage of 1 of 1 triggers is not known\n"},
		{"none, by the latest sweep", "none.txt", func(t *testing.T, s *fixture) { s.complete(t) }, nil, 0, ""},
		{"none, by a look at everything, of all namespaces", "verify-none.txt", func(t *testing.T, s *fixture) { s.complete(t) }, []string{"-A", "--verify"}, 0, ""},
		{"none, as YAML", "none.yaml", func(t *testing.T, s *fixture) { s.complete(t) }, []string{"-o", "yaml"}, 0, ""},
		{"never swept", "unswept.txt", func(t *testing.T, s *fixture) { s.trigger().Status = v1alpha1.ImageTriggerStatus{} }, nil, 1,
			notKnown},
		{"swept too long ago", "old.txt", func(t *testing.T, s *fixture) { s.complete(t) }, []string{"--max-age", "30s"}, 1, notKnown},
		{"swept while the account saw nothing", "hidden.txt", func(t *testing.T, s *fixture) {
			s.complete(t)
			s.trigger().Status.LastSweep.Coverage = v1alpha1.CoverageNotKnown
			s.trigger().Status.LastSweep.Unknown = []v1alpha1.Unknown{{Reason: "StreamsNotVisible", Count: 1, Message: "may not\x1b[2J get", Cure: "kubectl create\n\x1b[2Jrole"}}
		}, nil, 1, notKnown},
		{"an account that sees nothing", "verify-hidden.txt", func(t *testing.T, s *fixture) {
			s.hidden, s.objects = true, s.objects[:2]
		}, []string{"--verify"}, 1, notKnown},
		{"an account that sees nothing, and nothing there yet", "verify-hidden-empty.txt", func(t *testing.T, s *fixture) {
			s.hidden, s.objects = true, s.objects[:1]
		}, []string{"--verify"}, 1, notKnown},
		{"a trigger that selects nothing and sees everything", "verify-empty.txt", func(t *testing.T, s *fixture) { s.objects = s.objects[:1] }, []string{"--verify"}, 0, ""},
		{"everything covered, asked about rights by an administrator of the namespace", "verify-none-local.txt", func(t *testing.T, s *fixture) {
			s.complete(t)
			s.rights, s.localRights = false, true
		}, []string{"--verify"}, 0, ""},
		{"everything covered by ImageStreams, and the operator's lists may not be read", "verify-unlisted.txt", func(t *testing.T, s *fixture) {
			s.complete(t)
			s.unlisted = true
		}, []string{"--verify"}, 0, ""},
		{"nothing has run, in a cluster without PipelineRuns", "verify-no-runs.txt", func(t *testing.T, s *fixture) {
			s.complete(t)
			s.noRuns = true
			for _, o := range s.objects {
				if e, ok := o.(*v1alpha1.ImageVerification); ok {
					e.Status.Phase, e.Status.RunCount, e.Status.Runs = "", 0, nil
				}
			}
		}, []string{"--verify"}, 0, ""},
		{"everything covered, and nobody may ask about rights", "verify-unasked.txt", func(t *testing.T, s *fixture) {
			s.complete(t)
			s.rights = false
		}, []string{"--verify"}, 1, notKnown},
		{"a doubled run and a run that was deleted", "verify-doubled.txt", func(t *testing.T, s *fixture) {
			s.complete(t)
			second := s.objects[3].DeepCopyObject().(*pipelinev1.PipelineRun)
			second.Name = "app-by-hand"
			s.objects[len(s.objects)-1] = second // in place of the run of digest B
		}, []string{"-A", "--verify"}, 1, "error: 1 of 3 pushes are not covered; 1 runs are doubled\n"},
		{"a registry that is not listed for anybody", "verify-registry.txt", func(t *testing.T, s *fixture) {
			s.complete(t)
			s.trigger().Spec.Images = append(s.trigger().Spec.Images, v1alpha1.ImageSelector{Repository: "registry.example.com/team/a"})
		}, []string{"--verify"}, 1, notKnown},
		{"who may not ask about rights, nor read Images", "verify-gap-unasked.txt", func(_ *testing.T, s *fixture) { s.rights = false }, []string{"--verify"}, 1,
			"You may not read Images: the command asks their registries what is not covered, and what it cannot read there counts in the gap.\n" +
				"error: 1 of 3 pushes are not covered; the coverage of 1 of 1 triggers is not known\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newFixture(t)
			if test.change != nil {
				test.change(t, s)
			}
			r := commandtest.Run(New, "", s.connect, append([]string{"coverage"}, test.args...)...)
			if diff := cmp.Diff(test.errOut, r.ErrOut); diff != "" || r.Status != test.status {
				t.Errorf("status %d, want %d; standard error (-want +got):\n%s", r.Status, test.status, diff)
			}
			commandtest.Golden(t, test.golden, r.Out)
		})
	}
}

// What is exempt is counted by --verify, and listed by --artefacts, which verifies too.
func TestArtefactsAreListedWhereTheyAreAskedFor(t *testing.T) {
	server := httptest.NewServer(fakeregistry.New(fakeregistry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	ref, err := name.ParseReference(host+"/team/a:sig", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	signature := mutate.MediaType(empty.Image, ggcrtypes.OCIManifestSchema1)
	if err := remote.Write(ref, mutate.ConfigMediaType(signature, "application/vnd.in-toto+json")); err != nil {
		t.Fatal(err)
	}
	s := newFixture(t)
	s.complete(t)
	s.untrusted = true // the system's authorities count
	s.trigger().Spec.Images = append(s.trigger().Spec.Images, v1alpha1.ImageSelector{Repository: host + "/team/a"})
	listed := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "revet-system", Name: config.RegistriesConfigMap}}
	listed.Data = map[string]string{config.RegistriesKey: "- {name: a, host: \"" + host + "\", insecure: true, namespaces: [\"*\"]}"}
	s.objects = append(s.objects, listed)
	for _, test := range []struct {
		args             []string
		verified, listed bool
	}{
		{[]string{"coverage"}, false, false},
		{[]string{"coverage", "--verify"}, true, false},
		{[]string{"coverage", "--artefacts"}, true, true},
	} {
		r := commandtest.Run(New, "", s.connect, append(test.args, "-o", "yaml")...)
		if r.Status != 0 || r.ErrOut != "" {
			t.Errorf("%q: status %d, %s", test.args, r.Status, r.ErrOut)
		}
		if got := strings.Contains(r.Out, "verified: true\n"); got != test.verified {
			t.Errorf("%q: verified %t:\n%s", test.args, got, r.Out)
		}
		if got := strings.Contains(r.Out, "tag: sig\n"); got != test.listed {
			t.Errorf("%q: listed %t:\n%s", test.args, got, r.Out)
		}
		if test.verified && !strings.Contains(r.Out, "artefacts: 1\n") {
			t.Errorf("%q counts no artefact:\n%s", test.args, r.Out)
		}
	}
}

// An error is told apart from a gap by its status.
func TestCoverageErrors(t *testing.T) {
	for _, test := range []struct {
		name   string
		fail   error
		args   []string
		status int
		want   string
	}{
		{"no such trigger", nil, []string{"test"}, 2, `error: there is no ImageTrigger "test" in namespace "demo"; there are prod` + "\n"},
		{"none in the namespace", nil, []string{"test", "-n", "empty"}, 2, `error: there is no ImageTrigger "test" in namespace "empty"; there are none at all` + "\n"},
		{"no trigger is no gap", nil, []string{"-n", "empty"}, 0, `There are no ImageTriggers in namespace "empty".` + "\n"},
		{"an API server that is away", errors.New("connection refused"), nil, 2, `error: listing ImageTriggers in namespace "demo": connection refused` + "\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newFixture(t)
			s.fail = test.fail
			r := commandtest.Run(New, "", s.connect, append([]string{"coverage"}, test.args...)...)
			if diff := cmp.Diff(test.want, r.ErrOut); diff != "" || r.Status != test.status || r.Out != "" {
				t.Errorf("status %d, want %d, output %q; standard error (-want +got):\n%s", r.Status, test.status, r.Out, diff)
			}
		})
	}
	if r := commandtest.Run(New, "", newFixture(t).connect, "coverage", "--max-age", "0s"); r.Status != 2 || !strings.Contains(r.ErrOut, "error: --max-age is 0s; it must be positive\n") {
		t.Errorf("status %d, standard error %q", r.Status, r.ErrOut)
	}
	r := commandtest.Run(New, "", newFixture(t).connect, "__complete", "coverage", "p")
	if !strings.HasPrefix(r.Out, "prod\n") {
		t.Errorf("completed %q", r.Out)
	}
	if r := commandtest.Run(New, "", newFixture(t).connect, "coverage", "-n", "empty", "-o", "json"); r.Status != 0 || r.Out != "[]\n" {
		t.Errorf("status %d, output %q", r.Status, fmt.Sprint(r.Out))
	}
}

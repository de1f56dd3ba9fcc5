package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/revet-dev/revet/pkg/cli/command"
	"github.com/revet-dev/revet/pkg/cli/commandtest"
)

func connectTo(t *testing.T, s commandtest.Description, scheme *runtime.Scheme) func(*command.ClusterFlags) (command.Cluster, error) {
	t.Helper()
	mapper := meta.NewDefaultRESTMapper(nil)
	kinds := []schema.GroupVersionKind{sourceKind, brokerTriggerKind}
	for kind := range scheme.AllKnownTypes() {
		kinds = append(kinds, kind)
	}
	for _, kind := range kinds {
		if !slices.Contains(s.Lacks, kind.Kind) {
			mapper.Add(kind, meta.RESTScopeNamespace)
		}
	}
	all := func(opts []client.ListOption) string {
		if o := (&client.ListOptions{}).ApplyOptions(opts); o.Namespace == "" {
			return "/all"
		}
		return ""
	}
	refuse := func(o runtime.Object, all string) error {
		kind, err := apiutil.GVKForObject(o, scheme)
		if err != nil {
			return err
		}
		kind.Kind = strings.TrimSuffix(kind.Kind, "List")
		if slices.Contains(s.Lacks, kind.Kind) {
			return &meta.NoKindMatchError{GroupKind: kind.GroupKind(), SearchedVersions: []string{kind.Version}}
		}
		if slices.Contains(s.Failing, kind.Kind) {
			return errors.New("the server is on fire")
		}
		if slices.Contains(s.Forbidden, kind.Kind) || (all != "" && slices.Contains(s.Forbidden, kind.Kind+all)) {
			return apierrors.NewForbidden(schema.GroupResource{Group: kind.Group, Resource: strings.ToLower(kind.Kind) + "s"}, "", errors.New("no RBAC policy matched"))
		}
		return nil
	}
	c := fake.NewClientBuilder().WithScheme(scheme).WithRESTMapper(mapper).WithObjects(s.Objects...).WithInterceptorFuncs(interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if err := refuse(o, ""); err != nil {
				return err
			}
			return c.Get(ctx, key, o, opts...)
		},
		List: func(ctx context.Context, c client.WithWatch, l client.ObjectList, opts ...client.ListOption) error {
			if err := refuse(l, all(opts)); err != nil {
				return err
			}
			return c.List(ctx, l, opts...)
		},
		Create: func(_ context.Context, _ client.WithWatch, o client.Object, _ ...client.CreateOption) error {
			review, ok := o.(*authorizationv1.SubjectAccessReview)
			if !ok {
				t.Errorf("doctor creates a %T", o)
				return nil
			}
			review.Status.Allowed = !slices.Contains(s.Denied, review.Spec.ResourceAttributes.Resource)
			return refuse(o, "")
		},
		Update: func(_ context.Context, _ client.WithWatch, o client.Object, _ ...client.UpdateOption) error {
			t.Errorf("doctor writes a %T", o)
			return nil
		},
	}).Build()
	return func(f *command.ClusterFlags) (command.Cluster, error) {
		namespace := "demo"
		if *f.Config.Namespace != "" {
			namespace = *f.Config.Namespace
		}
		return command.Cluster{Reader: c, Writer: c, Namespace: namespace}, nil
	}
}

// The report on each cluster of testdata is the file beside it. The status is 1 if and
// only if a check found a problem or could not be made.
func TestDoctor(t *testing.T) {
	scheme, err := command.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.FromSlash("testdata/*.yaml"))
	if err != nil || len(files) < 4 {
		t.Fatalf("only %d files (%v)", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(name, func(t *testing.T) {
			connect := connectTo(t, commandtest.ReadObjects(t, file, scheme), scheme)
			r := commandtest.Run(New, "", connect, "doctor", "-A")
			commandtest.Golden(t, name+".txt", r.Out)
			var report Report
			asJSON := commandtest.Run(New, "", connect, "doctor", "-A", "-o", "json")
			if err := json.Unmarshal([]byte(asJSON.Out), &report); err != nil {
				t.Fatalf("%v: %s", err, asJSON.Out)
			}
			want := 0
			if report.count(LevelProblem) > 0 || report.count(LevelUnknown) > 0 {
				want = 1
			}
			if r.Status != want || asJSON.Status != want {
				t.Errorf("status %d, as JSON %d, want %d: %s", r.Status, asJSON.Status, want, r.ErrOut)
			}
			if report.count(LevelOK)+report.count(LevelWarning)+report.count(LevelUnknown)+report.count(LevelProblem) == 0 {
				t.Error("the report is empty")
			}
		})
	}
}

func TestDoctorNamesTheTriggersThereAre(t *testing.T) {
	scheme, err := command.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	connect := connectTo(t, commandtest.ReadObjects(t, filepath.FromSlash("testdata/healthy.yaml"), scheme), scheme)
	for _, test := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"doctor", "prod"}, 0, "ImageTrigger demo/prod"},
		{[]string{"doctor", "absent"}, 1, `error: there is no ImageTrigger "absent" in namespace "demo"; there are prod`},
		{[]string{"doctor", "-n", "empty"}, 0, `there is no ImageTrigger in namespace "empty"`},
		{[]string{"__complete", "doctor", "p"}, 0, "prod"},
	} {
		r := commandtest.Run(New, "", connect, test.args...)
		if r.Status != test.status || !strings.Contains(r.Out+r.ErrOut, test.want) {
			t.Errorf("%v: status %d, %q, %q; want %d and %q", test.args, r.Status, r.Out, r.ErrOut, test.status, test.want)
		}
	}
}

// downMapper knows an API whose server does not answer.
type downMapper struct{ meta.RESTMapper }

func (downMapper) RESTMapping(kind schema.GroupKind, versions ...string) (*meta.RESTMapping, error) {
	return nil, &apiutil.ErrResourceDiscoveryFailed{
		{Group: kind.Group, Version: versions[0]}: &meta.NoKindMatchError{GroupKind: kind, SearchedVersions: versions},
	}
}

// An aggregated API that is down is not an API that is not there.
func TestDoctorTellsDownFromMissing(t *testing.T) {
	d := &doctor{Cluster: command.Cluster{Writer: fake.NewClientBuilder().WithRESTMapper(downMapper{meta.NewDefaultRESTMapper(nil)}).Build()}}
	got, served := d.kind(imageStreamKind, LevelWarning, "", "only registries are seen")
	want := problem("ImageStream", "kubectl get apiservices shows which one does not answer, and why", "the cluster knows image.openshift.io/v1 but does not serve it now")
	if diff := cmp.Diff(want, got); diff != "" || served {
		t.Errorf("served %v, finding (-want +got):\n%s", served, diff)
	}
}

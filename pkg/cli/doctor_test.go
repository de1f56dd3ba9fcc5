package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// sickbed is a cluster as a file of testdata/doctor describes it: objects, and
// comments "# lacks: KINDS", "# forbidden: KINDS" and "# denied: RESOURCES", which
// no account may touch. A forbidden KIND/all may not be listed in all namespaces.
type sickbed struct {
	objects                  []client.Object
	lacks, forbidden, denied []string
}

func readSickbed(t *testing.T, file string, scheme *runtime.Scheme) sickbed {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var s sickbed
	for name, into := range map[string]*[]string{"lacks": &s.lacks, "forbidden": &s.forbidden, "denied": &s.denied} {
		for line := range strings.Lines(string(content)) {
			if rest, ok := strings.CutPrefix(line, "# "+name+": "); ok {
				*into = strings.Fields(rest)
			}
		}
	}
	documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return s
		}
		if err != nil {
			t.Fatal(err)
		}
		u := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(document, &u.Object); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if len(u.Object) == 0 {
			continue
		}
		typed, err := scheme.New(u.GroupVersionKind())
		if runtime.IsNotRegisteredError(err) {
			s.objects = append(s.objects, u)
			continue
		}
		if err == nil {
			err = runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(u.Object, typed, true)
		}
		if err != nil {
			t.Fatalf("%s: %s %q: %v", file, u.GetKind(), u.GetName(), err)
		}
		s.objects = append(s.objects, typed.(client.Object))
	}
}

func (s sickbed) connect(t *testing.T, scheme *runtime.Scheme) func(*clusterFlags) (cluster, error) {
	t.Helper()
	mapper := meta.NewDefaultRESTMapper(nil)
	kinds := []schema.GroupVersionKind{sourceKind, brokerTriggerKind}
	for kind := range scheme.AllKnownTypes() {
		kinds = append(kinds, kind)
	}
	for _, kind := range kinds {
		if !slices.Contains(s.lacks, kind.Kind) {
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
		if slices.Contains(s.lacks, kind.Kind) {
			return &meta.NoKindMatchError{GroupKind: kind.GroupKind(), SearchedVersions: []string{kind.Version}}
		}
		if slices.Contains(s.forbidden, kind.Kind) || (all != "" && slices.Contains(s.forbidden, kind.Kind+all)) {
			return apierrors.NewForbidden(schema.GroupResource{Group: kind.Group, Resource: strings.ToLower(kind.Kind) + "s"}, "", errors.New("no RBAC policy matched"))
		}
		return nil
	}
	c := fake.NewClientBuilder().WithScheme(scheme).WithRESTMapper(mapper).WithObjects(s.objects...).WithInterceptorFuncs(interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			return errors.Join(refuse(o, ""), c.Get(ctx, key, o, opts...))
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
			review.Status.Allowed = !slices.Contains(s.denied, review.Spec.ResourceAttributes.Resource)
			return refuse(o, "")
		},
		Update: func(_ context.Context, _ client.WithWatch, o client.Object, _ ...client.UpdateOption) error {
			t.Errorf("doctor writes a %T", o)
			return nil
		},
	}).Build()
	return func(f *clusterFlags) (cluster, error) {
		namespace := "demo"
		if *f.config.Namespace != "" {
			namespace = *f.config.Namespace
		}
		return cluster{Reader: c, writer: c, namespace: namespace}, nil
	}
}

// Each cluster of testdata/doctor is told as the file beside it says. The status
// is 1 if and only if there is a problem.
func TestDoctor(t *testing.T) {
	scheme, err := newScheme()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.FromSlash("testdata/doctor/*.yaml"))
	if err != nil || len(files) < 4 {
		t.Fatalf("only %d files (%v)", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(name, func(t *testing.T) {
			connect := readSickbed(t, file, scheme).connect(t, scheme)
			r := runCLI("", connect, "doctor", "-A")
			golden(t, filepath.Join("doctor", name+".txt"), r.out)
			var exam Examination
			asJSON := runCLI("", connect, "doctor", "-A", "-o", "json")
			if err := json.Unmarshal([]byte(asJSON.out), &exam); err != nil {
				t.Fatalf("%v: %s", err, asJSON.out)
			}
			want := 0
			if exam.count(LevelProblem) > 0 {
				want = 1
			}
			if r.status != want || asJSON.status != want {
				t.Errorf("status %d, as JSON %d, want %d: %s", r.status, asJSON.status, want, r.errOut)
			}
			if cured := exam.count(LevelOK) + exam.count(LevelWarning) + exam.count(LevelProblem); cured == 0 {
				t.Error("nothing was found")
			}
		})
	}
}

func TestDoctorNamesTheTriggersThereAre(t *testing.T) {
	scheme, err := newScheme()
	if err != nil {
		t.Fatal(err)
	}
	connect := readSickbed(t, filepath.FromSlash("testdata/doctor/healthy.yaml"), scheme).connect(t, scheme)
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
		r := runCLI("", connect, test.args...)
		if r.status != test.status || !strings.Contains(r.out+r.errOut, test.want) {
			t.Errorf("%v: status %d, %q, %q; want %d and %q", test.args, r.status, r.out, r.errOut, test.status, test.want)
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
	d := &doctor{cluster: cluster{writer: fake.NewClientBuilder().WithRESTMapper(downMapper{meta.NewDefaultRESTMapper(nil)}).Build()}}
	got, served := d.kind(imageStreamKind, LevelWarning, "", "only registries are seen")
	want := problem("ImageStream", "kubectl get apiservices tells which does not answer, and why", "the cluster knows image.openshift.io/v1 and does not serve it now")
	if diff := cmp.Diff(want, got); diff != "" || served {
		t.Errorf("served %v, finding (-want +got):\n%s", served, diff)
	}
}

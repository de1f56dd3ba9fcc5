package triggers_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	triggersv1alpha1 "github.com/tektoncd/triggers/pkg/apis/triggers/v1alpha1"
	triggersv1 "github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/revet-dev/revet/triggers"
)

const folder = "../../triggers"

// manifests are all objects in triggers/.
type manifests struct {
	tasks         []*pipelinev1.Task
	pipelines     []*pipelinev1.Pipeline
	listeners     []*triggersv1.EventListener
	interceptors  []*triggersv1alpha1.ClusterInterceptor
	bindings      []*triggersv1.TriggerBinding
	templates     []*triggersv1.TriggerTemplate
	accounts      []*corev1.ServiceAccount
	configMaps    []*corev1.ConfigMap
	secrets       []*corev1.Secret
	roles         []*rbacv1.Role
	roleBindings  []*rbacv1.RoleBinding
	clusterRoles  []*rbacv1.ClusterRole
	clusterGrants []*rbacv1.ClusterRoleBinding
	policies      []*networkingv1.NetworkPolicy
	cronJobs      []*batchv1.CronJob
	all           []metav1.Object
}

// load decodes every document strictly; a kind that it does not know is an
// error, so that none is left out of the tests.
func load(t *testing.T) manifests {
	t.Helper()
	return loadAs(t, func(raw []byte) []byte { return raw })
}

// loadApart is load of the form in which publishing is a Pod of its own.
func loadApart(t *testing.T) manifests {
	t.Helper()
	return loadAs(t, func(raw []byte) []byte {
		raw, _ = triggers.Apart(raw)
		return raw
	})
}

func loadAs(t *testing.T, form func([]byte) []byte) manifests {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no manifests: %v", err)
	}
	var m manifests
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(form(raw))))
		for {
			document, err := reader.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			m.add(t, filepath.Base(file), document)
		}
	}
	return m
}

func (m *manifests) add(t *testing.T, file string, document []byte) {
	t.Helper()
	var kind metav1.TypeMeta
	if err := yaml.Unmarshal(document, &kind); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	switch kind.APIVersion + " " + kind.Kind {
	case "tekton.dev/v1 Task":
		put(t, m, file, document, &m.tasks)
	case "tekton.dev/v1 Pipeline":
		put(t, m, file, document, &m.pipelines)
	case "triggers.tekton.dev/v1beta1 EventListener":
		put(t, m, file, document, &m.listeners)
	case "triggers.tekton.dev/v1alpha1 ClusterInterceptor":
		put(t, m, file, document, &m.interceptors)
	case "triggers.tekton.dev/v1beta1 TriggerBinding":
		put(t, m, file, document, &m.bindings)
	case "triggers.tekton.dev/v1beta1 TriggerTemplate":
		put(t, m, file, document, &m.templates)
	case "v1 ServiceAccount":
		put(t, m, file, document, &m.accounts)
	case "v1 ConfigMap":
		put(t, m, file, document, &m.configMaps)
	case "v1 Secret":
		put(t, m, file, document, &m.secrets)
	case "rbac.authorization.k8s.io/v1 Role":
		put(t, m, file, document, &m.roles)
	case "rbac.authorization.k8s.io/v1 RoleBinding":
		put(t, m, file, document, &m.roleBindings)
	case "rbac.authorization.k8s.io/v1 ClusterRole":
		put(t, m, file, document, &m.clusterRoles)
	case "rbac.authorization.k8s.io/v1 ClusterRoleBinding":
		put(t, m, file, document, &m.clusterGrants)
	case "networking.k8s.io/v1 NetworkPolicy":
		put(t, m, file, document, &m.policies)
	case "batch/v1 CronJob":
		put(t, m, file, document, &m.cronJobs)
	default:
		t.Fatalf("%s: kind %q of %q is not known to this test", file, kind.Kind, kind.APIVersion)
	}
}

func put[T any](t *testing.T, m *manifests, file string, document []byte, into *[]*T) {
	t.Helper()
	object := new(T)
	if err := yaml.UnmarshalStrict(document, object); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	*into = append(*into, object)
	named, ok := any(object).(metav1.Object)
	if !ok {
		t.Fatalf("%s: %T has no name", file, object)
	}
	m.all = append(m.all, named)
}

// task returns the Task of that name.
func (m *manifests) task(t *testing.T, name string) *pipelinev1.Task {
	t.Helper()
	for _, task := range m.tasks {
		if task.Name == name {
			return task
		}
	}
	t.Fatalf("there is no Task %q", name)
	return nil
}

// only returns the one object of its kind.
func only[T any](t *testing.T, objects []*T) *T {
	t.Helper()
	if len(objects) != 1 {
		t.Fatalf("there are %d objects of type %T, want 1", len(objects), *new(T))
	}
	return objects[0]
}

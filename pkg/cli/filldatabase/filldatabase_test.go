package filldatabase

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/revet-dev/revet/pkg/cli/command"
	"github.com/revet-dev/revet/pkg/cli/commandtest"
)

// The command names the database, fills it and resumes the CronJob. If the Job fails, the
// error has its output, and the CronJob stays suspended.
func TestFillDatabase(t *testing.T) {
	off := true
	config := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: databaseConfig},
		Data:       map[string]string{"source": "https://example.com", "malware": "https://example.org"},
	}
	cron := &batchv1.CronJob{
		ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: databaseCronJob, UID: "c1"},
		Spec: batchv1.CronJobSpec{Suspend: &off, JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{
			Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{ServiceAccountName: "vulnerability-database"}},
		}}},
	}
	type outcome struct {
		Status          int
		Data            map[string]string
		Suspended       bool
		Account, Output string
	}
	for _, test := range []struct {
		name    string
		objects []client.Object
		end     batchv1.JobConditionType
		args    []string
		want    outcome
	}{
		{"from the source that is configured", []client.Object{config, cron}, batchv1.JobComplete, []string{"registry.example.com/db:1"}, outcome{
			Data: map[string]string{"source": "https://example.com", "malware": "https://example.org", "database": "registry.example.com/db:1"}, Account: "vulnerability-database",
			Output: "Job \"fill-database-x7k2q9\" in namespace \"demo\" fills registry.example.com/db:1.\nmirrored\nFrom now on, runs in namespace \"demo\" use it.\n",
		}},
		{"from another, once", []client.Object{config, cron}, batchv1.JobComplete, []string{"registry.example.com/db:1", "--source=/source", "--once"}, outcome{
			Data: map[string]string{"source": "/source", "malware": "", "database": "registry.example.com/db:1"}, Account: "vulnerability-database", Suspended: true,
			Output: "Job \"fill-database-x7k2q9\" in namespace \"demo\" fills registry.example.com/db:1.\nmirrored\nFrom now on, runs in namespace \"demo\" use it.\n",
		}},
		{"from another, with malware", []client.Object{config, cron}, batchv1.JobComplete, []string{"registry.example.com/db:1", "--source=/source", "--malware=/source", "--once"}, outcome{
			Data: map[string]string{"source": "/source", "malware": "/source", "database": "registry.example.com/db:1"}, Account: "vulnerability-database", Suspended: true,
			Output: "Job \"fill-database-x7k2q9\" in namespace \"demo\" fills registry.example.com/db:1.\nmirrored\nFrom now on, runs in namespace \"demo\" use it.\n",
		}},
		{"a job that fails", []client.Object{config, cron}, batchv1.JobFailed, []string{"registry.example.com/db:1"}, outcome{
			Status: 1, Data: map[string]string{"source": "https://example.com", "malware": "https://example.org", "database": "registry.example.com/db:1"}, Account: "vulnerability-database", Suspended: true,
			Output: "Job \"fill-database-x7k2q9\" in namespace \"demo\" fills registry.example.com/db:1.\n" +
				"error: job \"fill-database-x7k2q9\" failed (BackoffLimitExceeded: too often); runs use the previous database, if there is one. The Job said: mirrored\n",
		}},
		{"nothing is named", []client.Object{config, cron}, batchv1.JobComplete, nil, outcome{
			Status: 2, Data: map[string]string{"source": "https://example.com", "malware": "https://example.org"}, Suspended: true,
			Output: "error: name the database as host/repository:tag: ConfigMap \"revet-vulnerability-database\" in namespace \"demo\" does not name one yet\n" +
				"See 'kubectl revet fill-database --help'.\n",
		}},
		{"no pipeline is installed", nil, batchv1.JobComplete, []string{"registry.example.com/db:1"}, outcome{
			Status: 1, Output: "error: there is no ConfigMap \"revet-vulnerability-database\" in namespace \"demo\"; install the pipeline there first: ko apply -f triggers/ -- -n demo\n",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			objects := []client.Object{}
			for _, o := range test.objects {
				objects = append(objects, o.DeepCopyObject().(client.Object))
			}
			c, connect := commandtest.Writable(t, interceptor.Funcs{Create: endJob(test.end)}, objects...)
			r := commandtest.Run(New, "", func(f *command.ClusterFlags) (command.Cluster, error) {
				cl, err := connect(f)
				cl.Logs = func(context.Context, string, string, *corev1.PodLogOptions) ([]byte, error) {
					return []byte("mirrored\n"), nil
				}
				return cl, err
			}, append([]string{"fill-database"}, test.args...)...)
			got := outcome{Status: r.Status, Output: r.Out + r.ErrOut}
			var written corev1.ConfigMap
			var after batchv1.CronJob
			var job batchv1.Job
			key := func(name string) client.ObjectKey { return client.ObjectKey{Namespace: "demo", Name: name} }
			if c.Get(t.Context(), key(databaseConfig), &written) == nil {
				got.Data = written.Data
			}
			if c.Get(t.Context(), key(databaseCronJob), &after) == nil {
				got.Suspended = *after.Spec.Suspend
			}
			if c.Get(t.Context(), key("fill-database-x7k2q9"), &job) == nil {
				got.Account = job.Spec.Template.Spec.ServiceAccountName
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("after %s (-want +got):\n%s", strings.Join(test.args, " "), diff)
			}
		})
	}
}

// endJob is what the cluster makes of a job: its end, and a Pod.
func endJob(end batchv1.JobConditionType) func(context.Context, client.WithWatch, client.Object, ...client.CreateOption) error {
	return func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.CreateOption) error {
		if job, ok := o.(*batchv1.Job); ok {
			job.Status.Conditions = []batchv1.JobCondition{{Type: end, Status: corev1.ConditionTrue, Reason: "BackoffLimitExceeded", Message: "too often"}}
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "p", Labels: map[string]string{batchv1.JobNameLabel: job.Name}}}
			if err := c.Create(ctx, pod); err != nil {
				return err
			}
		}
		return c.Create(ctx, o, options...)
	}
}

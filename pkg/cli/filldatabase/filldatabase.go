package filldatabase

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/cli/command"
)

// The objects of triggers/800-database.yaml.
const (
	databaseConfig  = "revet-vulnerability-database"
	databaseCronJob = "vulnerability-database"
	// The keys of the ConfigMap.
	databaseKey       = "database"
	databaseSourceKey = "source"
	// databaseMalwareKey names where records of malicious packages come from.
	databaseMalwareKey = "malware"
)

// jobPoll is the interval between two reads of the Job.
const jobPoll = 2 * time.Second

type fillOptions struct {
	cluster *command.ClusterFlags
	source  string
	malware string
	once    bool
	timeout time.Duration
}

// New returns the command fill-database.
func New(env command.Environment) *cobra.Command {
	o := &fillOptions{cluster: command.NewClusterFlags()}
	c := &cobra.Command{
		Use:   "fill-database [HOST/REPOSITORY:TAG]",
		Short: "Fill the vulnerability database, and keep it filled",
		Long: `Fill the vulnerability database that runs scan with, and keep it up to date.

The command writes HOST/REPOSITORY:TAG into the ConfigMap ` + databaseConfig + `,
from which the pipeline of the namespace reads it. Then it starts a Job that fills the
database, waits for it, and resumes the CronJob that updates the database every six
hours. Without an argument, the command keeps the reference in the ConfigMap.

The Job pushes to the registry. If the registry needs credentials, create a Secret
` + databaseCronJob + ` of type kubernetes.io/dockerconfigjson first.`,
		Example: `  # Fill it from Anchore's listing, the default source
  kubectl revet fill-database registry.example.com/revet/database:current -n team-a

  # Fill it from a mirror that another cluster fills
  kubectl revet fill-database registry.example.com/revet/database:current -n team-a \
    --source mirror.example.com/revet/database:current`,
		Args: command.AtMostOne("reference"),
		RunE: func(c *cobra.Command, args []string) error {
			reference := ""
			if len(args) > 0 {
				reference = args[0]
			}
			return o.run(c.Context(), env, reference)
		},
	}
	o.cluster.Config.AddFlags(c.Flags())
	c.Flags().StringVar(&o.source, "source", "", "where the data comes from: a URL, a mirror, or /source (default: the source in the ConfigMap)")
	c.Flags().StringVar(&o.malware, "malware", "", "where records of malicious packages come from: a URL, or /source (default: none if --source is no URL)")
	c.Flags().BoolVar(&o.once, "once", false, "do not resume the CronJob")
	c.Flags().DurationVar(&o.timeout, "timeout", 70*time.Minute, "longest time to wait for the Job")
	return c
}

func (o *fillOptions) run(ctx context.Context, env command.Environment, reference string) error {
	cl, err := env.Connect(o.cluster)
	if err != nil {
		return err
	}
	reference, err = o.configure(ctx, cl, reference)
	if err != nil {
		return err
	}
	job, err := o.start(ctx, cl, env.Unique())
	if err != nil {
		return err
	}
	fmt.Fprintf(env.Streams.Out, "Job %q in namespace %q fills %s.\n", job.Name, job.Namespace, reference)
	if err := o.await(ctx, cl, job, env.Streams.Out); err != nil {
		return err
	}
	if !o.once {
		if err := resume(ctx, cl); err != nil {
			return err
		}
	}
	fmt.Fprintf(env.Streams.Out, "From now on, runs in namespace %q use it.\n", cl.Namespace)
	return nil
}

// configure writes the source and the reference that the Job uses, and returns the reference.
func (o *fillOptions) configure(ctx context.Context, cl command.Cluster, reference string) (string, error) {
	var config corev1.ConfigMap
	key := client.ObjectKey{Namespace: cl.Namespace, Name: databaseConfig}
	if err := cl.Get(ctx, key, &config); err != nil {
		return "", databaseObject("ConfigMap", key, err)
	}
	before := config.DeepCopy()
	if config.Data == nil {
		config.Data = map[string]string{}
	}
	if reference != "" {
		config.Data[databaseKey] = reference
	}
	if o.source != "" {
		config.Data[databaseSourceKey] = o.source
		if !strings.Contains(o.source, "://") {
			// A mirror or a directory is complete, and its user may have no Internet access.
			config.Data[databaseMalwareKey] = ""
		}
	}
	if o.malware != "" {
		config.Data[databaseMalwareKey] = o.malware
	}
	if config.Data[databaseKey] == "" {
		return "", command.Usagef("name the database as host/repository:tag: ConfigMap %q in namespace %q does not name one yet", databaseConfig, cl.Namespace)
	}
	if err := cl.Writer.Patch(ctx, &config, client.MergeFrom(before)); err != nil {
		return "", fmt.Errorf("writing ConfigMap %q in namespace %q: %w", databaseConfig, cl.Namespace, err)
	}
	return config.Data[databaseKey], nil
}

// start creates the Job that the CronJob would create.
func (o *fillOptions) start(ctx context.Context, cl command.Cluster, unique string) (*batchv1.Job, error) {
	var cron batchv1.CronJob
	key := client.ObjectKey{Namespace: cl.Namespace, Name: databaseCronJob}
	if err := cl.Get(ctx, key, &cron); err != nil {
		return nil, databaseObject("CronJob", key, err)
	}
	job := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: cl.Namespace, Name: "fill-database-" + unique, Labels: cron.Spec.JobTemplate.Labels,
			Annotations: map[string]string{"cronjob.kubernetes.io/instantiate": "manual"},
			OwnerReferences: []metav1.OwnerReference{
				*metav1.NewControllerRef(&cron, batchv1.SchemeGroupVersion.WithKind("CronJob")),
			},
		},
		Spec: *cron.Spec.JobTemplate.Spec.DeepCopy(),
	}
	if err := cl.Writer.Create(ctx, job); err != nil {
		return nil, fmt.Errorf("creating the job that fills the database: %w", err)
	}
	return job, nil
}

func databaseObject(kind string, key client.ObjectKey, err error) error {
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("there is no %s %q in namespace %q; install the pipeline there first: ko apply -f triggers/ -- -n %s",
			kind, key.Name, key.Namespace, key.Namespace)
	}
	return fmt.Errorf("reading %s %q in namespace %q: %w", kind, key.Name, key.Namespace, err)
}

// await waits until the Job ends, and prints its output.
func (o *fillOptions) await(ctx context.Context, cl command.Cluster, job *batchv1.Job, out io.Writer) error {
	failed := ""
	err := wait.PollUntilContextTimeout(ctx, jobPoll, o.timeout, true, func(ctx context.Context) (bool, error) {
		if err := cl.Get(ctx, client.ObjectKeyFromObject(job), job); err != nil {
			if apierrors.IsNotFound(err) {
				return false, fmt.Errorf("somebody else removed job %q", job.Name)
			}
			return false, nil // the API server may be down for a while
		}
		for _, c := range job.Status.Conditions {
			if c.Status != corev1.ConditionTrue {
				continue
			}
			switch c.Type {
			case batchv1.JobComplete:
				return true, nil
			case batchv1.JobFailed:
				failed = strings.TrimSpace(c.Reason + ": " + command.OneLine(c.Message))
				return true, nil
			default: // other conditions do not end the Job
			}
		}
		return false, nil
	})
	said := lastLog(ctx, cl, job)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("interrupted; job %q continues: %w", job.Name, ctx.Err())
	case wait.Interrupted(err):
		return fmt.Errorf("job %q has not ended after %s; see: kubectl describe job %s -n %s", job.Name, o.timeout, job.Name, job.Namespace)
	case err != nil:
		return err
	case failed != "":
		return fmt.Errorf("job %q failed (%s); runs use the previous database, if there is one. The Job said: %s", job.Name, failed, command.OneLine(said))
	}
	fmt.Fprint(out, command.PrintableLines(said))
	return nil
}

// lastLog returns the last lines of the Job's newest Pod.
func lastLog(ctx context.Context, cl command.Cluster, job *batchv1.Job) string {
	var pods corev1.PodList
	err := cl.List(ctx, &pods, client.InNamespace(job.Namespace), client.MatchingLabels{batchv1.JobNameLabel: job.Name})
	if err != nil || len(pods.Items) == 0 {
		return "nothing that can be read"
	}
	newest := &pods.Items[0]
	for i := range pods.Items {
		if pods.Items[i].CreationTimestamp.After(newest.CreationTimestamp.Time) {
			newest = &pods.Items[i]
		}
	}
	lines := int64(20)
	log, err := cl.Logs(ctx, newest.Namespace, newest.Name, &corev1.PodLogOptions{TailLines: &lines})
	if err != nil {
		return fmt.Sprintf("nothing that can be read (%v)", err)
	}
	return string(log)
}

// resume resumes the CronJob.
func resume(ctx context.Context, cl command.Cluster) error {
	var cron batchv1.CronJob
	key := client.ObjectKey{Namespace: cl.Namespace, Name: databaseCronJob}
	if err := cl.Get(ctx, key, &cron); err != nil {
		return databaseObject("CronJob", key, err)
	}
	before, off := cron.DeepCopy(), false
	cron.Spec.Suspend = &off
	if err := cl.Writer.Patch(ctx, &cron, client.MergeFrom(before)); err != nil {
		return fmt.Errorf("resuming CronJob %q in namespace %q: %w", databaseCronJob, cl.Namespace, err)
	}
	return nil
}

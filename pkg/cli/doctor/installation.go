package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// The kinds that Revet uses, in the versions that it speaks.
var (
	imageTriggerKind      = v1alpha1.GroupVersion.WithKind("ImageTrigger")
	imageVerificationKind = v1alpha1.GroupVersion.WithKind("ImageVerification")
	pipelineRunKind       = schema.GroupVersionKind{Group: "tekton.dev", Version: "v1", Kind: "PipelineRun"}
	eventListenerKind     = schema.GroupVersionKind{Group: "triggers.tekton.dev", Version: "v1beta1", Kind: "EventListener"}
	imageStreamKind       = schema.GroupVersionKind{Group: "image.openshift.io", Version: "v1", Kind: "ImageStream"}
	sourceKind            = schema.GroupVersionKind{Group: "sources.knative.dev", Version: "v1", Kind: "ApiServerSource"}
	brokerTriggerKind     = schema.GroupVersionKind{Group: "eventing.knative.dev", Version: "v1", Kind: "Trigger"}
)

const (
	installCure  = "ko apply -f config/"
	receiverName = "receiver"
)

func inNamespace(namespace string) client.ListOption { return client.InNamespace(namespace) }

// installation checks what all ImageTriggers need. It returns false if the cluster does
// not have them.
func (d *doctor) installation(ctx context.Context) ([]Finding, bool) {
	var findings []Finding
	usable := true
	for _, kind := range []schema.GroupVersionKind{imageTriggerKind, imageVerificationKind} {
		f, served := d.kind(kind, LevelProblem, installCure, "")
		findings, usable = append(findings, f), usable && served
	}
	findings = append(findings, d.program(ctx, receiverName), d.program(ctx, "controller"), d.leaders(ctx, controllerElection), d.policy(ctx))
	for _, k := range []struct {
		kind       schema.GroupVersionKind
		level      Level
		cure, lack string
	}{
		{pipelineRunKind, LevelProblem, "install Tekton Pipelines", "nothing can run, and the controller waits for it"},
		{eventListenerKind, LevelWarning, "install Tekton Triggers, unless all sinks are of another kind", "no EventListener can start runs"},
		{imageStreamKind, LevelWarning, "none needed if all images are in registries without ImageStreams", "Revet sees pushes to registries only"},
		{sourceKind, LevelWarning, "install Knative Eventing, or let registries post to the receiver", "only webhooks and sweeps find pushes"},
	} {
		f, served := d.kind(k.kind, k.level, k.cure, k.lack)
		if version := d.tektonVersion(ctx, k.kind); served && version != "" {
			f.Message += ", by Tekton " + version
		}
		findings = append(findings, f)
	}
	return findings, usable
}

// kind checks that the cluster serves a kind in the version that Revet speaks.
func (d *doctor) kind(kind schema.GroupVersionKind, level Level, cure, lack string) (Finding, bool) {
	check, version := kind.Kind, kind.GroupVersion().String()
	_, err := d.Writer.RESTMapper().RESTMapping(kind.GroupKind(), kind.Version)
	if err == nil {
		return ok(check, "served as %s", version), true
	}
	// An aggregated API that is down is no match either, and not the same as none.
	var down *apiutil.ErrResourceDiscoveryFailed
	if errors.As(err, &down) {
		return problem(check, "kubectl get apiservices shows which one does not answer, and why", "the cluster knows %s but does not serve it now", version), false
	}
	if !meta.IsNoMatchError(err) {
		return unknown(check, "check that the API server and the aggregated APIs answer", "cannot find out whether the cluster serves %s: %v", version, err), false
	}
	message := fmt.Sprintf("the cluster has no %s", version)
	if other, err := d.Writer.RESTMapper().RESTMapping(kind.GroupKind()); err == nil {
		message = fmt.Sprintf("the cluster serves %s, but Revet speaks %s", other.GroupVersionKind.GroupVersion(), version)
	}
	if lack != "" {
		message += ": " + lack
	}
	return Finding{Level: level, Check: check, Message: message, Cure: cure}, false
}

// tektonVersion returns the version that Tekton publishes for everybody, or "" if the
// kind is not Tekton's or Tekton is installed in an unusual namespace.
func (d *doctor) tektonVersion(ctx context.Context, kind schema.GroupVersionKind) string {
	info := map[schema.GroupVersionKind]string{pipelineRunKind: "pipelines-info", eventListenerKind: "triggers-info"}[kind]
	if info == "" {
		return ""
	}
	for _, namespace := range []string{"tekton-pipelines", "openshift-pipelines"} {
		var m corev1.ConfigMap
		if err := d.Get(ctx, client.ObjectKey{Namespace: namespace, Name: info}, &m); err == nil {
			return m.Data["version"]
		}
	}
	return ""
}

// program checks one of Revet's Deployments.
func (d *doctor) program(ctx context.Context, name string) Finding {
	var deployment appsv1.Deployment
	what := fmt.Sprintf("Deployment %q in namespace %q", name, d.system)
	err := d.Get(ctx, client.ObjectKey{Namespace: d.system, Name: name}, &deployment)
	switch {
	case apierrors.IsNotFound(err):
		return problem(name, installCure+"; or name Revet's namespace with --system-namespace", "there is no %s", what)
	case err != nil:
		return notRead(name, what, err)
	}
	wanted := int32(1)
	if deployment.Spec.Replicas != nil {
		wanted = *deployment.Spec.Replicas
	}
	var images []string
	for _, c := range deployment.Spec.Template.Spec.Containers {
		images = append(images, c.Image)
	}
	state := fmt.Sprintf("%d of %d available, image %s", deployment.Status.AvailableReplicas, wanted, strings.Join(images, ", "))
	look := fmt.Sprintf("kubectl get pods -n %s -l app.kubernetes.io/name=%s; kubectl logs -n %s deployment/%s", d.system, name, d.system, name)
	switch {
	case deployment.Status.AvailableReplicas == 0:
		return problem(name, look, "%s", state)
	case deployment.Status.AvailableReplicas < wanted || deployment.Status.UpdatedReplicas < wanted:
		return warn(name, look, "%s, %d up to date", state, deployment.Status.UpdatedReplicas)
	default:
		return ok(name, "%s", state)
	}
}

// configMap reads one of the ConfigMaps that configure Revet.
func (d *doctor) configMap(ctx context.Context, name string) (*corev1.ConfigMap, error) {
	var m corev1.ConfigMap
	if err := d.Get(ctx, client.ObjectKey{Namespace: d.system, Name: name}, &m); err != nil {
		return nil, fmt.Errorf("reading ConfigMap %q in namespace %q: %w", name, d.system, err)
	}
	return &m, nil
}

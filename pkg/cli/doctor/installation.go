package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// The kinds that are looked for, in the versions that Revet speaks.
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
	installCure   = "ko apply -f config/"
	receiverName  = "receiver"
	ledgerPolicy  = "revet-ledger"
	leasePrefix   = "controller."
	readMoreCure  = "ask whoever may read it, such as a cluster administrator, to run this command"
	leaderLateFor = 30 * time.Second
)

func inNamespace(namespace string) client.ListOption { return client.InNamespace(namespace) }

// installation examines what all triggers need. It reports false if there is
// nothing to look at without it.
func (d *doctor) installation(ctx context.Context) ([]Diagnosis, bool) {
	var findings []Diagnosis
	usable := true
	for _, kind := range []schema.GroupVersionKind{imageTriggerKind, imageVerificationKind} {
		f, served := d.kind(kind, LevelProblem, installCure, "")
		findings, usable = append(findings, f), usable && served
	}
	findings = append(findings, d.program(ctx, receiverName), d.program(ctx, "controller"), d.leaders(ctx), d.policy(ctx))
	for _, k := range []struct {
		kind       schema.GroupVersionKind
		level      Level
		cure, lack string
	}{
		{pipelineRunKind, LevelProblem, "install Tekton Pipelines", "nothing can run, and the controller waits for it"},
		{eventListenerKind, LevelWarning, "install Tekton Triggers, unless all sinks are of another kind", "no EventListener can start runs"},
		{imageStreamKind, LevelWarning, "nothing, if all images are in registries without ImageStreams", "only registries are seen"},
		{sourceKind, LevelWarning, "install Knative Eventing, or let registries post to the receiver", "pushes are seen by webhooks and sweeps only"},
	} {
		f, served := d.kind(k.kind, k.level, k.cure, k.lack)
		if version := d.tektonVersion(ctx, k.kind); served && version != "" {
			f.Message += ", by Tekton " + version
		}
		findings = append(findings, f)
	}
	return findings, usable
}

// kind looks whether a kind is served in the version that Revet speaks.
func (d *doctor) kind(kind schema.GroupVersionKind, level Level, cure, lack string) (Diagnosis, bool) {
	check, version := kind.Kind, kind.GroupVersion().String()
	_, err := d.Writer.RESTMapper().RESTMapping(kind.GroupKind(), kind.Version)
	if err == nil {
		return ok(check, "served as %s", version), true
	}
	// An aggregated API that is down is no match either, and not the same as none.
	var down *apiutil.ErrResourceDiscoveryFailed
	if errors.As(err, &down) {
		return problem(check, "kubectl get apiservices tells which does not answer, and why", "the cluster knows %s and does not serve it now", version), false
	}
	if !meta.IsNoMatchError(err) {
		return problem(check, "see whether the API server, and any aggregated API, answers", "it cannot be found out whether %s is served: %v", version, err), false
	}
	message := fmt.Sprintf("the cluster has no %s", version)
	if other, err := d.Writer.RESTMapper().RESTMapping(kind.GroupKind()); err == nil {
		message = fmt.Sprintf("the cluster serves %s, and Revet speaks %s", other.GroupVersionKind.GroupVersion(), version)
	}
	if lack != "" {
		message += ": " + lack
	}
	return Diagnosis{Level: level, Check: check, Message: message, Cure: cure}, false
}

// tektonVersion returns what Tekton says of itself to everybody; empty if it is
// installed elsewhere than usual, or another kind is meant.
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

// notRead is the finding for what could not be read.
func notRead(check, what string, err error) Diagnosis {
	if apierrors.IsForbidden(err) {
		return warn(check, readMoreCure, "you may not read %s", what)
	}
	return problem(check, "see whether the API server answers", "reading %s: %v", what, err)
}

// program examines one of Revet's Deployments.
func (d *doctor) program(ctx context.Context, name string) Diagnosis {
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

// leaders looks whether somebody leads each bucket of keys.
func (d *doctor) leaders(ctx context.Context) Diagnosis {
	const check = "leader"
	var leases coordinationv1.LeaseList
	if err := d.List(ctx, &leases, inNamespace(d.system)); err != nil {
		return notRead(check, fmt.Sprintf("the Leases of namespace %q", d.system), err)
	}
	var holders, orphans []string
	for i := range leases.Items {
		l := &leases.Items[i]
		if !strings.HasPrefix(l.Name, leasePrefix) {
			continue
		}
		// A bucket that the configuration no longer has keeps its lease for ever, so
		// that an old one counts only if nobody leads at all.
		if l.Spec.HolderIdentity != nil && *l.Spec.HolderIdentity != "" && l.Spec.RenewTime != nil && d.now.Sub(l.Spec.RenewTime.Time) < leaderLateFor {
			holders = append(holders, *l.Spec.HolderIdentity)
		} else {
			orphans = append(orphans, l.Name)
		}
	}
	slices.Sort(holders)
	holders = slices.Compact(holders)
	if len(holders) == 0 {
		return problem(check, fmt.Sprintf("kubectl logs -n %s deployment/controller", d.system),
			"no controller leads: nothing is fired and no trigger is checked (%d leases)", len(orphans))
	}
	return ok(check, "led by %s", strings.Join(holders, ", "))
}

// policy looks whether something keeps others from writing the ledger.
func (d *doctor) policy(ctx context.Context) Diagnosis {
	const check = "ledger policy"
	cure := "kubectl apply -f config/400-ledger-policy.yaml"
	var policy admissionv1.ValidatingAdmissionPolicy
	var binding admissionv1.ValidatingAdmissionPolicyBinding
	for _, o := range []struct {
		what   string
		object client.Object
	}{{"ValidatingAdmissionPolicy", &policy}, {"ValidatingAdmissionPolicyBinding", &binding}} {
		what := o.what
		err := d.Get(ctx, client.ObjectKey{Name: ledgerPolicy}, o.object)
		switch {
		case meta.IsNoMatchError(err):
			return problem(check, "use Kubernetes 1.30 or later", "the cluster has no %s, so that whoever may update an ImageVerification can forge a verdict", what)
		case apierrors.IsNotFound(err):
			return problem(check, cure, "there is no %s %q, so that whoever may update an ImageVerification can forge a verdict", what, ledgerPolicy)
		case err != nil:
			return notRead(check, what, err)
		}
	}
	switch {
	case policy.Spec.FailurePolicy != nil && *policy.Spec.FailurePolicy != admissionv1.Fail:
		return problem(check, cure, "the policy %q lets everything pass when it fails", ledgerPolicy)
	case binding.Spec.PolicyName != ledgerPolicy || !slices.Contains(binding.Spec.ValidationActions, admissionv1.Deny):
		return problem(check, cure, "the binding %q does not deny what the policy refuses", ledgerPolicy)
	case binding.Spec.MatchResources != nil:
		return warn(check, cure, "the binding %q is restricted: elsewhere nobody guards the ledger", ledgerPolicy)
	default:
		return ok(check, "only Revet's accounts write the ledger")
	}
}

// configMap reads what the operator decided.
func (d *doctor) configMap(ctx context.Context, name string) (*corev1.ConfigMap, error) {
	var m corev1.ConfigMap
	if err := d.Get(ctx, client.ObjectKey{Namespace: d.system, Name: name}, &m); err != nil {
		return nil, fmt.Errorf("reading ConfigMap %q in namespace %q: %w", name, d.system, err)
	}
	return &m, nil
}

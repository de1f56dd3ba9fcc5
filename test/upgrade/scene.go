//go:build linux

package upgrade

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	imagev1 "github.com/openshift/api/image/v1"
	triggersv1beta1 "github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/test/cluster/openshift/imageapi"
	"github.com/revet-dev/revet/test/rig"
)

// The names of what is recorded. Each trigger selects the streams whose names begin with its own.
const (
	Namespace    = "upgrade"
	runtimeClass = "upgrade-sandbox"
	otherClass   = "upgrade-other"
	deafListener = "deaf"
)

// Install creates the namespace: triggers, listeners and rights.
func (e *Env) Install(ctx context.Context) error {
	streams := rbacv1.PolicyRule{APIGroups: []string{"image.openshift.io"}, Resources: []string{"imagestreams", "imagestreams/layers"}, Verbs: []string{"get", "list"}}
	runs := rbacv1.PolicyRule{APIGroups: []string{"tekton.dev"}, Resources: []string{"pipelineruns"}, Verbs: []string{"create"}}
	objects := []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: Namespace}},
		&nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: runtimeClass}, Handler: "runsc"},
		&nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: otherClass}, Handler: "runc"},
	}
	for account, rule := range map[string]rbacv1.PolicyRule{"default": streams, "runner": runs} {
		objects = append(objects,
			&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: account}},
			&rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: account}, Rules: []rbacv1.PolicyRule{rule}},
			&rbacv1.RoleBinding{
				ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: account},
				RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: account},
				Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: Namespace, Name: account}},
			})
	}
	objects = append(objects, newListener("scan"), newListener(deafListener),
		trigger("app", "scan", func(s *v1alpha1.ImageTriggerSpec) { s.MaxConcurrent = 1000 }),
		trigger("narrow", "scan", func(s *v1alpha1.ImageTriggerSpec) { s.MaxConcurrent = 2 }),
		trigger("deaf", deafListener, func(s *v1alpha1.ImageTriggerSpec) { s.MaxConcurrent = 100 }),
		trigger("skipped", "scan", func(s *v1alpha1.ImageTriggerSpec) { s.Superseded, s.MaxConcurrent = v1alpha1.SupersededSkip, 1 }),
	)
	for _, o := range objects {
		if err := e.Admin.Create(ctx, o); err != nil {
			return fmt.Errorf("creating %T %q: %w", o, o.GetName(), err)
		}
	}
	return nil
}

func trigger(name, listener string, change func(*v1alpha1.ImageTriggerSpec)) *v1alpha1.ImageTrigger {
	t := &v1alpha1.ImageTrigger{
		ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: name},
		Spec: v1alpha1.ImageTriggerSpec{
			Images:  []v1alpha1.ImageSelector{{ImageStreams: &v1alpha1.ImageStreamSelector{Names: []string{name + "-*"}}}},
			Sink:    v1alpha1.Sink{Ref: &v1alpha1.SinkRef{Name: listener}},
			Sandbox: v1alpha1.Sandbox{RuntimeClassName: runtimeClass},
		},
	}
	change(&t.Spec)
	return t
}

func newListener(name string) *triggersv1beta1.EventListener {
	text := func(s string) *string { return &s }
	template := triggersv1beta1.TriggerResourceTemplate{}
	template.Raw = []byte(`{
		"apiVersion": "tekton.dev/v1", "kind": "PipelineRun",
		"metadata": {
			"name": "$(tt.params.run)",
			"labels": {"` + v1alpha1.RunLabel + `": "$(tt.params.run)"},
			"annotations": {"` + v1alpha1.EntryUIDAnnotation + `": "$(tt.params.uid)", "` + v1alpha1.DigestAnnotation + `": "$(tt.params.digest)"}
		},
		"spec": {
			"params": [{"name": "digest", "value": "$(tt.params.digest)"}],
			"taskRunTemplate": {"podTemplate": {"runtimeClassName": "$(tt.params.class)"}}
		}
	}`)
	return &triggersv1beta1.EventListener{
		ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: name},
		Spec: triggersv1beta1.EventListenerSpec{
			ServiceAccountName: "runner",
			Triggers: []triggersv1beta1.EventListenerTrigger{{
				Bindings: []*triggersv1beta1.TriggerSpecBinding{
					{Name: "run", Value: text("$(body.run)")},
					{Name: "uid", Value: text("$(body.entryUID)")},
					{Name: "digest", Value: text("$(body.image.digest)")},
					{Name: "class", Value: text("$(body.sandbox.runtimeClassName)")},
				},
				Template: &triggersv1beta1.EventListenerTemplate{Spec: &triggersv1beta1.TriggerTemplateSpec{
					ResourceTemplates: []triggersv1beta1.TriggerResourceTemplate{template},
				}},
			}},
		},
	}
}

// Push makes a new image the head of a tag, as a push does.
func (e *Env) Push(ctx context.Context, name, tag string) error {
	stream := &imagev1.ImageStream{ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: name}}
	err := e.Admin.Get(ctx, client.ObjectKeyFromObject(stream), stream)
	if client.IgnoreNotFound(err) != nil {
		return err
	}
	if err != nil {
		if err := e.Admin.Create(ctx, stream); err != nil {
			return err
		}
	}
	pushes := 0
	for _, t := range stream.Status.Tags {
		pushes += len(t.Items)
	}
	digest := rig.DigestOf(fmt.Sprintf("%s push %d", name, pushes))
	reference := stream.Status.DockerImageRepository + "@" + digest
	if err := client.IgnoreAlreadyExists(e.Admin.Create(ctx, rig.NewImage(digest, reference))); err != nil {
		return err
	}
	created := metav1.NewTime(time.Now().Truncate(time.Second))
	if head := imageapi.Head(stream, tag); head != nil && !head.Created.Before(&created) {
		created = metav1.NewTime(head.Created.Add(time.Second)) // pushes of one second supersede nothing
	}
	imageapi.AddTagEvent(stream, tag, imagev1.TagEvent{
		Created: created, DockerImageReference: reference, Image: digest, Generation: 1,
	})
	return e.Admin.Status().Update(ctx, stream)
}

// Send sends a stream to the receiver, as an ApiServerSource does.
func (e *Env) Send(ctx context.Context, name string) error {
	var stream imagev1.ImageStream
	if err := e.Admin.Get(ctx, client.ObjectKey{Namespace: Namespace, Name: name}, &stream); err != nil {
		return err
	}
	stream.TypeMeta = metav1.TypeMeta{APIVersion: "image.openshift.io/v1", Kind: "ImageStream"}
	body, err := json.Marshal(stream)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, e.receiver, bytes.NewReader(body))
	if err != nil {
		return err
	}
	for header, value := range map[string]string{
		"Content-Type": "application/json", "Ce-Specversion": "1.0", "Ce-Id": name + stream.ResourceVersion, "Ce-Source": "https://10.96.0.1:443",
		"Ce-Type": "dev.knative.apiserver.resource.update", "Ce-Kind": "ImageStream", "Ce-Apiversion": "image.openshift.io/v1",
		"Ce-Name": name, "Ce-Namespace": Namespace,
	} {
		request.Header.Set(header, value)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if answer, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10)); response.StatusCode != http.StatusAccepted {
		return fmt.Errorf("the receiver answered %s: %s", response.Status, answer)
	}
	return nil
}

// nameOf is the stream that an entry belongs to.
func nameOf(e *v1alpha1.ImageVerification) string {
	_, name, _ := strings.Cut(e.Spec.Repository.Name, "/")
	return name
}

// noVerdict is how a run ends whose infrastructure failed.
const noVerdict = ""

// verdictOf is how a run ends, by the stream's name.
func verdictOf(stream string) (verdict, class string) {
	switch {
	case strings.HasPrefix(stream, "app-fail"):
		return "fail", runtimeClass
	case strings.HasPrefix(stream, "app-loose"):
		return "pass", otherClass
	case strings.HasPrefix(stream, "app-error"):
		return noVerdict, runtimeClass
	default:
		return "pass", runtimeClass
	}
}

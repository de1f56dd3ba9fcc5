//go:build linux

package chaos

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"time"

	triggersv1beta1 "github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/test/rig"
)

const (
	runtimeClass = "kata"
	triggerName  = "everything"
	// pushedTo marks the namespaces that images are pushed to.
	pushedTo = "chaos"
	// concurrency is the trigger's maxConcurrent: with the stand-in's times, some 100 runs a second.
	concurrency = 100
)

// install makes the objects of both ways.
func (w *env) install(ctx context.Context) error {
	for _, pattern := range rig.RevetManifests {
		if err := rig.Apply(ctx, w.admin, "", filepath.Join(w.options.Root, "config", pattern)); err != nil {
			return err
		}
	}
	objects := []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: vetting}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: plainNamespace}},
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: vetting, Name: "default"}},
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: vetting, Name: "source"}},
		&nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: runtimeClass}, Handler: "stand-in"},
		rig.Interceptor(w.adminConfig.CAData),
	}
	for n := range namespaces {
		namespace, _ := repository(n)
		objects = append(objects, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace, Labels: map[string]string{pushedTo: "true"}}})
	}
	for _, o := range objects {
		if err := w.admin.Create(ctx, o); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("creating %T %s: %w", o, o.GetName(), err)
		}
	}
	here := filepath.Join(w.options.Root, "test", "chaos", "testdata")
	triggers := filepath.Join(w.options.Root, "triggers")
	for _, f := range []struct{ namespace, pattern string }{
		{"", filepath.Join(here, "reader.yaml")},
		{vetting, filepath.Join(triggers, "100-*.yaml")}, {vetting, filepath.Join(triggers, "500-*.yaml")},
		{vetting, filepath.Join(triggers, "600-*.yaml")}, {vetting, filepath.Join(triggers, "700-*.yaml")},
		{plainNamespace, filepath.Join(triggers, "100-*.yaml")}, {plainNamespace, filepath.Join(here, "plain.yaml")},
	} {
		if err := rig.Apply(ctx, w.admin, f.namespace, f.pattern); err != nil {
			return err
		}
	}
	if err := errors.Join(w.installOdd(ctx), w.installTenant(ctx)); err != nil {
		return err
	}
	return w.admin.Create(ctx, &v1alpha1.ImageTrigger{
		ObjectMeta: metav1.ObjectMeta{Namespace: vetting, Name: triggerName},
		Spec: v1alpha1.ImageTriggerSpec{
			Images: []v1alpha1.ImageSelector{{ImageStreams: &v1alpha1.ImageStreamSelector{
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{pushedTo: "true"}},
			}}},
			Sink:          v1alpha1.Sink{Ref: &v1alpha1.SinkRef{Name: "scan-and-validate"}},
			Sandbox:       v1alpha1.Sandbox{RuntimeClassName: runtimeClass},
			MaxConcurrent: concurrency,
		},
	})
}

// address writes where a listener is.
func (w *env) address(ctx context.Context, namespace, listener, address string) error {
	var object triggersv1beta1.EventListener
	if err := w.admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: listener}, &object); err != nil {
		return err
	}
	object.Status.SetAddress(address)
	return w.admin.Status().Update(ctx, &object)
}

func (w *env) awaitTrigger(ctx context.Context) error {
	return w.await(ctx, "the ImageTriggers to be ready", func() error {
		var triggers v1alpha1.ImageTriggerList
		if err := w.admin.List(ctx, &triggers, client.InNamespace(vetting)); err != nil {
			return err
		}
		for _, t := range triggers.Items {
			if !t.IsReady() {
				return fmt.Errorf("%s says %+v", t.Name, meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionReady))
			}
		}
		return nil
	})
}

// What probes push. They are no part of the account.
const (
	probeStream = "probe"
	probeImages = 1 << 30
	probeWait   = 3 * time.Second
)

// probe pushes until an event of a push has come to its end on both ways: the adapters do not say when they watch.
func (w *env) probe(ctx context.Context) error {
	p, err := newPusher(w.seed, w.registry, w.timeline)
	if err != nil {
		return err
	}
	namespace, _ := repository(0)
	probed := map[string]bool{}
	n := probeImages
	return w.await(ctx, "a push to get through both ways", func() error {
		image, err := pictureOf(w.seed, n)
		if err != nil {
			return err
		}
		n++
		if err := p.once(ctx, acknowledged{Repository: namespace + "/" + probeStream, Tag: tagName(0)}, image); err != nil {
			return err
		}
		probed[image.digest] = true
		wait, cancel := context.WithTimeout(ctx, probeWait)
		defer cancel()
		return w.await(wait, "the probe", func() error { return w.probed(ctx, probed) })
	})
}

func (w *env) probed(ctx context.Context, digests map[string]bool) error {
	var entries v1alpha1.ImageVerificationList
	if err := w.admin.List(ctx, &entries, client.InNamespace(vetting)); err != nil {
		return err
	}
	byEvent := 0
	for _, e := range entries.Items {
		if digests[e.Spec.Digest] && e.Spec.FirstPush.Source == v1alpha1.SourceEvent && len(e.Status.Runs) > 0 && e.Status.Runs[0].ConfirmedAt != nil {
			byEvent++
		}
	}
	runs, err := w.runs(ctx, plainNamespace)
	if err != nil {
		return err
	}
	if byEvent == 0 || len(runs) == 0 {
		return fmt.Errorf("%d of Revet's entries and %d runs of the direct EventListener", byEvent, len(runs))
	}
	return nil
}

func dialled(ctx context.Context, address string) error {
	c, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return c.Close()
}

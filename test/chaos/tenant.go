//go:build linux

package chaos

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	imagev1 "github.com/openshift/api/image/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/test/rig"
)

// tenantNamespace is the hostile tenant's. By name it comes before those of the others.
const tenantNamespace = "a-tenant"

// What the tenant does, at a size that leaves two cores room for the others.
const (
	tenantTriggers    = 300 // that select all namespaces, with accounts that do not exist
	tenantConcurrency = 1000
	tenantEach        = time.Second // a push whose run never ends
	tenantTags        = 50          // of one digest, which are told with each
	tenantForged      = 5           // events of others' streams, which show what they do not
	tenantAnnounced   = 8           // requests that announce 8 MiB and send a byte
	tenantIdle        = 100         // connections that say nothing
	tenantPatience    = 10 * time.Second
)

// installTenant makes the tenant's objects. Its triggers come later: see tenant.
func (w *env) installTenant(ctx context.Context) error {
	if !w.tenant {
		return nil
	}
	for _, o := range rig.Team(tenantNamespace) {
		if err := w.admin.Create(ctx, o); err != nil {
			return fmt.Errorf("creating %T %s: %w", o, o.GetName(), err)
		}
	}
	for _, pattern := range []string{"100-*.yaml", "500-*.yaml", "600-*.yaml", "700-*.yaml"} {
		files := filepath.Join(w.options.Root, "triggers", pattern)
		if err := rig.Apply(ctx, w.admin, tenantNamespace, files); err != nil {
			return err
		}
	}
	return nil
}

// startTenant starts the tenant's listener, which has the faults of the others', and the tenant.
func (w *env) startTenant(ctx context.Context) error {
	if !w.tenant {
		return nil
	}
	if err := w.startSink(ctx, "tenant-sink", tenantNamespace, scanAndValidate); err != nil {
		return err
	}
	// It may write statuses, as the registry does for those who push.
	kubeconfig := filepath.Join(w.timeline.dir, "tenant.kubeconfig")
	if err := rig.WriteKubeconfig(kubeconfig, w.adminConfig); err != nil {
		return err
	}
	return w.role("tenant", role{Name: "tenant", Kubeconfig: kubeconfig, Receivers: w.receivers})
}

// hostile is the tenant as a process.
type hostile struct {
	role
	client client.Client
	http   *http.Client
	tagged *imagev1.ImageStream
	number int
}

// beHostile does what the tenant does until the context ends. Whatever fails is done again.
func (r role) beHostile(ctx context.Context) error {
	config, err := clientcmd.BuildConfigFromFlags("", r.Kubeconfig)
	if err != nil {
		return err
	}
	h := &hostile{role: r, http: rig.Elsewhere(tenantPatience)}
	if h.client, err = rig.NewClient(config); err != nil {
		return err
	}
	var all sync.WaitGroup
	again := func(do func(context.Context) error) {
		all.Go(func() {
			for ctx.Err() == nil {
				_ = do(ctx) // what is hostile takes no for an answer
				sleep(ctx, tenantEach)
			}
		})
	}
	again(h.declare)
	again(h.push)
	for n := range tenantAnnounced + tenantIdle {
		beginning := rig.Announcement(8 << 20)
		if n >= tenantAnnounced {
			beginning = ""
		}
		receiver := r.Receivers[n%len(r.Receivers)]
		again(func(ctx context.Context) error { return rig.Hold(ctx, receiver, beginning) })
	}
	all.Wait()
	return nil
}

// declare makes the triggers: one that takes all slots that it gets, and many that select all
// namespaces. The pace is that of everybody's API server.
func (h *hostile) declare(ctx context.Context) error {
	greedy := h.trigger("greedy")
	greedy.Spec.MaxConcurrent = tenantConcurrency
	all := []*v1alpha1.ImageTrigger{greedy}
	for n := range tenantTriggers {
		wide := h.trigger(fmt.Sprintf("wide-%03d", n))
		wide.Spec.Images[0].ImageStreams.NamespaceSelector = &metav1.LabelSelector{}
		wide.Spec.ServiceAccountName = fmt.Sprintf("nobody-%03d", n)
		all = append(all, wide)
	}
	for _, t := range all {
		if err := h.create(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

func (h *hostile) trigger(name string) *v1alpha1.ImageTrigger {
	return &v1alpha1.ImageTrigger{
		ObjectMeta: metav1.ObjectMeta{Namespace: tenantNamespace, Name: name},
		Spec: v1alpha1.ImageTriggerSpec{
			Images:  []v1alpha1.ImageSelector{{ImageStreams: &v1alpha1.ImageStreamSelector{}}},
			Sink:    v1alpha1.Sink{Ref: &v1alpha1.SinkRef{Name: scanAndValidate}},
			Sandbox: v1alpha1.Sandbox{RuntimeClassName: runtimeClass},
		},
	}
}

func (h *hostile) create(ctx context.Context, o client.Object) error {
	ctx, cancel := context.WithTimeout(ctx, tenantPatience)
	defer cancel()
	if err := h.client.Create(ctx, o); err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	return nil
}

// push shows a new digest, whose run never ends, and some more tags of an old one. Then it tells
// all receivers, also of pushes to others' streams that there were not.
func (h *hostile) push(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, tenantPatience)
	defer cancel()
	if h.tagged == nil {
		stream := &imagev1.ImageStream{ObjectMeta: metav1.ObjectMeta{Namespace: tenantNamespace, Name: "app"}}
		if err := h.create(ctx, stream); err != nil {
			return err
		}
		h.tagged = stream
	}
	if err := h.client.Get(ctx, client.ObjectKeyFromObject(h.tagged), h.tagged); err != nil {
		return err
	}
	item := func(digest string) []imagev1.TagEvent {
		return []imagev1.TagEvent{{
			Created: metav1.NewTime(time.Now().Truncate(time.Second)), Image: digest, Generation: 1,
			DockerImageReference: h.tagged.Status.DockerImageRepository + "@" + digest,
		}}
	}
	old, fresh := rig.DigestOf("tenant"), rig.DigestOf(fmt.Sprintf("tenant %d", h.number))
	for _, digest := range []string{old, fresh} {
		if err := h.create(ctx, rig.NewImage(digest, item(digest)[0].DockerImageReference)); err != nil {
			return err
		}
	}
	tags := []imagev1.NamedTagEventList{{Tag: "latest", Items: item(fresh)}}
	for n := range tenantTags {
		tag := fmt.Sprintf("%0128d", h.number*tenantTags+n)
		tags = append(tags, imagev1.NamedTagEventList{Tag: tag, Items: item(old)})
	}
	h.tagged.Status.Tags = tags
	if err := h.client.Status().Update(ctx, h.tagged); err != nil {
		return err
	}
	h.number++
	return h.tell(ctx, item(fresh))
}

func (h *hostile) tell(ctx context.Context, head []imagev1.TagEvent) error {
	var errs []error
	for _, receiver := range h.Receivers {
		errs = append(errs, rig.Tell(ctx, h.http, receiver, h.tagged))
		for n := range tenantForged {
			namespace, name := repository(n)
			forged := &imagev1.ImageStream{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
			forged.Status.Tags = []imagev1.NamedTagEventList{{Tag: tagName(n), Items: head}}
			errs = append(errs, rig.Tell(ctx, h.http, receiver, forged))
		}
	}
	return errors.Join(errs...)
}

// tenantsPart says how much of the cluster the tenant had in the end.
func (w *env) tenantsPart(ctx context.Context) (string, error) {
	if !w.tenant {
		return "", nil
	}
	var triggers v1alpha1.ImageTriggerList
	var entries v1alpha1.ImageVerificationList
	runs, err := w.runs(ctx, tenantNamespace)
	if err := errors.Join(err,
		w.admin.List(ctx, &triggers, client.InNamespace(tenantNamespace)),
		w.admin.List(ctx, &entries, client.InNamespace(tenantNamespace))); err != nil {
		return "", err
	}
	most := 0
	for i := range entries.Items {
		most = max(most, len(entries.Items[i].Status.Tags))
	}
	return fmt.Sprintf("the tenant had %d triggers, %d entries, the largest with %d tags, and %d runs, none of which ended",
		len(triggers.Items), len(entries.Items), most, len(runs)), nil
}

//go:build linux

package chaos

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/test/cluster/fast"
	"github.com/revet-dev/revet/test/rig"
)

const (
	gateName = "gated"
	// gatedNamespace is where Pods are tried.
	gatedNamespace = "gated"
)

// newGatePlay starts the API server and two controllers, and returns once the gate refuses.
func newGatePlay(ctx context.Context, o Options, programs rig.Programs, seed uint64) (*gatePlay, error) {
	tl, err := newTimeline(filepath.Join(o.Dir, fmt.Sprintf("seed-%d", seed)))
	if err != nil {
		return nil, err
	}
	w := &env{options: o, seed: seed, programs: programs, timeline: tl, targets: map[string]*target{}}
	p := &gatePlay{env: w, script: gateScriptOf(seed, o.Shape)}
	p.book, p.clock = newGateBook(p.script), &leadClock{up: p.upSince}
	p.result = &GateResult{
		Verdicts: p.script.verdicts, Errors: p.script.errors, Digests: len(p.script.digests),
		Kills: map[string]int{}, Tries: &tries{},
	}
	ctx, cancel := context.WithTimeout(ctx, setUpPatience)
	defer cancel()
	for _, step := range []func(context.Context) error{p.startGated, p.installGate, p.startPods, p.startControllers, p.enforce} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, w.end())
		}
	}
	return p, nil
}

// startGated starts etcd and an API server that pins tags.
func (p *gatePlay) startGated(ctx context.Context) (err error) {
	if p.api, err = rig.FreeAddress(ctx); err != nil {
		return err
	}
	crds, err := rig.CRDDirs(ctx, p.options.Root)
	if err != nil {
		return err
	}
	dir := filepath.Join(p.timeline.dir, "cluster")
	if err := p.role("apiserver", role{Name: "cluster", Dir: dir, Address: p.api, CRDDirs: crds, Gated: true}); err != nil {
		return err
	}
	return p.await(ctx, "the API server", func() (err error) {
		if p.adminConfig, err = fast.UserConfig(dir, p.api, "chaos", "system:masters"); err != nil {
			return err
		}
		if p.admin, err = rig.NewClient(p.adminConfig); err != nil {
			return err
		}
		return p.admin.List(ctx, &v1alpha1.ImageGateList{})
	})
}

// installGate makes what the gate needs, and its triggers, whose listener does not exist: no
// run is ever started.
func (p *gatePlay) installGate(ctx context.Context) error {
	for _, pattern := range rig.RevetManifests {
		if err := rig.Apply(ctx, p.admin, "", filepath.Join(p.options.Root, "config", pattern)); err != nil {
			return err
		}
	}
	objects := []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: gatedNamespace, Labels: map[string]string{"gated": "true"}}},
	}
	for _, trigger := range []string{strictTrigger, laxTrigger, strangerTrigger} {
		namespace := gateNamespace(trigger)
		objects = append(objects, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, &v1alpha1.ImageTrigger{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: trigger},
			Spec: v1alpha1.ImageTriggerSpec{
				Images: []v1alpha1.ImageSelector{{ImageStreams: &v1alpha1.ImageStreamSelector{Names: []string{"none"}}}},
				Sink:   v1alpha1.Sink{Ref: &v1alpha1.SinkRef{Name: "none"}},
			},
		})
	}
	for _, o := range objects {
		if err := p.admin.Create(ctx, o); err != nil {
			return fmt.Errorf("creating %T %s: %w", o, o.GetName(), err)
		}
	}
	return nil
}

// startPods makes the Pods that run before there is a gate.
func (p *gatePlay) startPods(ctx context.Context) error {
	for _, digest := range p.script.running {
		if err := p.admin.Create(ctx, gatePod(gatedNamespace, referenceOf(digest))); err != nil {
			return fmt.Errorf("creating a Pod: %w", err)
		}
	}
	return nil
}

// fewestDigests is the least that an object of a gate can be made to hold before it is divided.
const fewestDigests = 16

// startControllers starts two. The gate is divided on the way.
func (p *gatePlay) startControllers(ctx context.Context) error {
	split := max(fewestDigests, len(p.script.digests)/5)
	for n := range 2 {
		name := fmt.Sprintf("controller-%d", n+1)
		if err := p.startController(ctx, name, "-gate-census-interval=5s", fmt.Sprintf("-gate-split=%d", split)); err != nil {
			return err
		}
	}
	return nil
}

// enforce makes the gate, and returns once it refuses what nobody knows.
func (p *gatePlay) enforce(ctx context.Context) error {
	g := &v1alpha1.ImageGate{
		ObjectMeta: metav1.ObjectMeta{Name: gateName},
		Spec: v1alpha1.ImageGateSpec{
			NamespaceSelector: metav1.LabelSelector{MatchLabels: map[string]string{"gated": "true"}},
			Trust: []v1alpha1.TrustedTrigger{
				{Namespace: gateNamespace(strictTrigger), Trigger: strictTrigger},
				{Namespace: gateNamespace(laxTrigger), Trigger: laxTrigger},
			},
			Require: v1alpha1.GateRequirements{Checks: []string{gateCheck}, Sandboxed: true, Platforms: []string{gatePlatform}},
			MaxAge:  metav1.Duration{Duration: gateMaxAge}, Mode: v1alpha1.GateDeny, Force: true,
		},
	}
	if err := p.admin.Create(ctx, g); err != nil {
		return err
	}
	p.prober = &prober{
		client: p.admin, namespace: gatedNamespace, book: p.book, clock: p.clock,
		timeline: p.timeline, tries: p.result.Tries,
		digests: p.script.digests, tags: p.script.tags(), server: p.targets["apiserver"].parts[0].upSince,
	}
	return p.await(ctx, "the gate to refuse", func() error {
		if err := p.admin.Get(ctx, client.ObjectKeyFromObject(g), g); err != nil {
			return err
		}
		if err := enforced(g); err != nil {
			return err
		}
		for _, reference := range []string{referenceOf(p.script.digests[0]), "r.example.com/nobody:v1"} {
			if answer, _ := p.prober.ask(ctx, reference); answer != startsNot {
				return fmt.Errorf("%s: %v", reference, answer)
			}
		}
		return nil
	})
}

// enforced gives no error if the gate says that all is in force and written.
func enforced(g *v1alpha1.ImageGate) error {
	c := meta.FindStatusCondition(g.Status.Conditions, v1alpha1.ConditionReady)
	ready := c != nil && c.Status == metav1.ConditionTrue && c.Reason == v1alpha1.ReasonEnforced
	if !ready || g.Status.Mode != v1alpha1.GateDeny || g.Status.Pending > 0 {
		return fmt.Errorf("the gate says %+v, with %d pending in mode %q", c, g.Status.Pending, g.Status.Mode)
	}
	return nil
}

// ledger writes under the controllers' account.
func (p *gatePlay) ledger(ctx context.Context, began time.Time) (*gateLedger, error) {
	config, err := fast.UserConfig(filepath.Join(p.timeline.dir, "cluster"), p.api,
		"system:serviceaccount:"+systemNamespace+":controller", "system:serviceaccounts", "system:serviceaccounts:"+systemNamespace)
	if err != nil {
		return nil, err
	}
	c, err := rig.NewClient(config)
	if err != nil {
		return nil, err
	}
	var triggers v1alpha1.ImageTriggerList
	if err := p.admin.List(ctx, &triggers); err != nil {
		return nil, err
	}
	l := &gateLedger{
		client: c, book: p.book, clock: p.clock, timeline: p.timeline, began: began, uids: map[string]string{},
	}
	for i := range triggers.Items {
		l.uids[triggers.Items[i].Name] = string(triggers.Items[i].UID)
	}
	return l, nil
}

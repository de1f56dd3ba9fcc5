package imagegate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/failpoint"
)

// A division is tried by canaries: copies of its policies and bindings that select the probe
// namespace and nothing else, and that are made after all of the division's. The API server
// reads policies, and bindings, in the order in which they were written, and exchanges all
// that it has read at once. So it judges by the division if it judges by the canaries.
//
// The division itself cannot be tried while another one is in force, because the API server
// names only one of the policies that refuse a Pod. Nor can Pods be tried in the gated
// namespaces: the controller would need the right to make Pods there. In the probe namespace
// a quota keeps all Pods from being made, whoever has that right.

const (
	probeTimeout  = 30 * time.Second
	probeInterval = 200 * time.Millisecond
	// probeImage is a name that nobody can push to.
	probeImage = "probe.revet.invalid/probe"
)

// canary is the copy of a policy, with its binding.
type canary struct {
	policy  *admissionv1.ValidatingAdmissionPolicy
	binding *admissionv1.ValidatingAdmissionPolicyBinding
}

// probe tries the policies of the wanted division, and returns what does not refuse yet.
func (p *pass) probe(ctx context.Context, plan *plan) (missing string, err error) {
	canaries := p.canaries(plan)
	if len(canaries) == 0 {
		return "the division has no policy of its own that refuses", nil
	}
	// Those of a process that was killed do not prove what is in force now.
	err = p.remove(ctx, p.gate.Name, plan.exists, func(key objectKey) bool { return !strings.HasPrefix(key.name, p.canaryPrefix()) }, p.removed)
	if err != nil {
		return "", err
	}
	whole := ctx
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	defer func() {
		// Not by ctx, whose time may be over: what stays is removed by the next pass.
		err = errors.Join(err, p.dropCanaries(context.WithoutCancel(ctx), canaries))
	}()
	var made []client.Object
	for _, c := range canaries {
		made = append(made, c.policy)
	}
	for _, c := range canaries {
		made = append(made, c.binding)
	}
	for _, o := range made {
		if err := p.create(ctx, o); err != nil {
			return "", err
		}
		if err := p.tend(whole, plan); err != nil {
			return "", err
		}
	}
	failpoint.Hit("gate.canaries-made")
	refused := map[string]bool{}
	for {
		missing, err = p.try(ctx, canaries, refused)
		if ctx.Err() != nil {
			return fmt.Sprintf("that took longer than %s; it is tried again", probeTimeout), nil
		}
		if missing == "" || err != nil {
			return missing, err
		}
		select {
		case <-ctx.Done():
			return missing, nil
		case <-time.After(probeInterval):
		}
		if outdated, err := p.outdated(whole); err != nil || outdated {
			return "the gate changed meanwhile", err
		}
		if err := p.tend(whole, plan); err != nil {
			return "", err
		}
	}
}

// outdated reports whether the gate is gone or another one than the pass began with. Whoever
// waits must ask: what was decided by then, such as to refuse nothing, cannot wait too. It
// fails if this process may write no more, for example because it stops.
func (p *pass) outdated(ctx context.Context) (bool, error) {
	if err := p.held(ctx, p.gate.Name, func(context.Context) error { return nil }); err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	var now v1alpha1.ImageGate
	err := p.Cached.Get(ctx, client.ObjectKeyFromObject(p.gate), &now)
	if apierrors.IsNotFound(err) {
		return true, nil
	}
	return now.UID != p.gate.UID || now.Generation != p.gate.Generation, err
}

// tend writes what the ledger says by now. To try a division takes many requests, and what
// failed cannot wait for all of them.
func (p *pass) tend(ctx context.Context, plan *plan) error {
	rules, ok := p.state.judges()
	if !ok {
		return nil
	}
	p.now = p.Now()
	p.judge(rules)
	if err := p.writePages(ctx, plan); err != nil {
		return err
	}
	return p.writeTags(ctx, plan)
}

func (p *pass) create(ctx context.Context, o client.Object) error {
	err := p.held(ctx, p.gate.Name, func(ctx context.Context) error { return p.Live.Create(ctx, o, fieldOwner) })
	if err != nil {
		return fmt.Errorf("trying the policies by %s: %w", o.GetName(), err)
	}
	return nil
}

func (p *pass) dropCanaries(ctx context.Context, canaries []canary) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	var failed error
	for _, c := range canaries {
		for _, o := range []client.Object{c.binding, c.policy} {
			err := p.held(ctx, p.gate.Name, func(ctx context.Context) error { return p.Live.Delete(ctx, o) })
			failed = errors.Join(failed, client.IgnoreNotFound(err))
		}
	}
	return failed
}

// canaries copies the policies that only the wanted division has, and that refuse.
func (p *pass) canaries(plan *plan) []canary {
	var all []canary
	for _, key := range plan.order[p.shards] {
		binding, ok := plan.wanted[p.shards][key].(*admissionv1.ValidatingAdmissionPolicyBinding)
		if !ok || !plan.only(p.shards, key) || !slices.Contains(binding.Spec.ValidationActions, admissionv1.Deny) {
			continue
		}
		policy, ok := plan.wanted[p.shards][objectKey{"ValidatingAdmissionPolicy", binding.Spec.PolicyName}].(*admissionv1.ValidatingAdmissionPolicy)
		if !ok {
			continue
		}
		all = append(all, p.canary(policy, binding, len(all)))
	}
	return all
}

func (p *pass) canary(policy *admissionv1.ValidatingAdmissionPolicy, binding *admissionv1.ValidatingAdmissionPolicyBinding, n int) canary {
	here := &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: p.ProbeNamespace}}
	name := fmt.Sprintf("%s%s-%d", p.canaryPrefix(), strconv.FormatInt(p.now.UnixMilli(), 36), n)
	c := canary{policy.DeepCopy(), binding.DeepCopy()}
	c.policy.Name, c.binding.Name = name, name
	c.policy.Spec.MatchConstraints.NamespaceSelector = here
	c.binding.Spec.PolicyName = name
	if c.binding.Spec.MatchResources != nil {
		c.binding.Spec.MatchResources.NamespaceSelector = here
	}
	return c
}

func (p *pass) canaryPrefix() string { return "revet-gate-" + p.gate.Name + "-probe-" }

// try makes Pods in dry-run that each canary should refuse, and some that none should.
func (p *pass) try(ctx context.Context, canaries []canary, refused map[string]bool) (missing string, err error) {
	unknown := []string{probeImage + ":unknown"}
	for _, d := range "0123456789abcdef" {
		unknown = append(unknown, probeImage+"@sha256:"+strings.Repeat(string(d), 64))
	}
	for _, image := range unknown {
		if refused[image] {
			continue
		}
		by, err := p.dryRun(ctx, image)
		if err != nil {
			return "", err
		}
		refused[by], refused[image] = true, by != ""
	}
	for _, c := range canaries {
		if !refused[c.policy.Name] {
			return fmt.Sprintf("policy %q refused nothing yet", c.policy.Name), nil
		}
	}
	for _, pg := range p.state.divisions[p.shards].pages {
		for hex := range pg.Digests {
			by, err := p.dryRun(ctx, probeImage+"@sha256:"+hex)
			if err != nil {
				return "", err
			}
			if by != "" {
				return fmt.Sprintf("policy %q does not admit yet what is in VerifiedImages %q", by, pg.name), nil
			}
			break
		}
	}
	return "", nil
}

// dryRun asks to make a Pod, and returns the canary that refuses it; "" for none.
func (p *pass) dryRun(ctx context.Context, image string) (string, error) {
	no := false
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.ProbeNamespace, GenerateName: "probe-"},
		Spec: corev1.PodSpec{
			AutomountServiceAccountToken: &no,
			Containers:                   []corev1.Container{{Name: "probe", Image: image}},
		},
	}
	err := p.Live.Create(ctx, pod, client.DryRunAll)
	switch {
	case err == nil:
		return "", nil
	case !apierrors.IsForbidden(err) && !apierrors.IsInvalid(err):
		return "", fmt.Errorf("trying a Pod in namespace %q: %w", p.ProbeNamespace, err)
	}
	message := err.Error()
	start := strings.Index(message, "'"+p.canaryPrefix())
	if start >= 0 {
		name := message[start+1:]
		if end := strings.IndexByte(name, '\''); end > 0 {
			return name[:end], nil
		}
	}
	if strings.Contains(message, "exceeded quota") {
		return "", nil // the last of all checks
	}
	return "", fmt.Errorf("trying a Pod in namespace %q: %w", p.ProbeNamespace, err)
}

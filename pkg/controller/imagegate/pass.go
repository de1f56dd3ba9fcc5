package imagegate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/gate"
)

// pass is one look at one gate. Its fields below now are what it found out.
type pass struct {
	*Reconciler
	gate  *v1alpha1.ImageGate
	state *state
	now   time.Time

	// invalid is why the spec cannot be followed.
	invalid error
	// missing are trusted triggers that do not exist.
	missing []v1alpha1.TrustedTrigger
	// mode is the one in force after the pass, and waiting says why it is not spec.mode.
	mode    v1alpha1.GateMode
	waiting string
	// ran is what runs.
	ran RunningReport
	// owners are the workloads whose break-glass label does not count.
	owners map[string]string
	// inForce is true if the policies of the present spec are written.
	inForce bool
	// preparing and dividing say what the pass waits for.
	preparing, dividing string
	// shards is the division that is wanted.
	shards gate.Shards
	// wake is when to look again at the latest.
	wake time.Duration
	// failed is the error with which the pass ended.
	failed error
}

// soon asks for another pass after the given time, at the latest.
func (p *pass) soon(after time.Duration) {
	if p.wake == 0 || after < p.wake {
		p.wake = max(after, 10*time.Millisecond)
	}
}

func (p *pass) again() time.Duration {
	if next, ok := p.nextExpiry(); ok {
		p.soon(next)
	}
	p.soon(recheck)
	return p.wake
}

func (p *pass) nextExpiry() (time.Duration, bool) {
	if p.state.desired == nil {
		return 0, false
	}
	next, ok := p.state.desired.NextExpiry()
	if !ok {
		return 0, false
	}
	earliest := p.state.expiryLooked.Add(expiryStep)
	if next.Before(earliest) {
		next = earliest
	}
	return next.Sub(p.now), true
}

// run does what the pass is for. Where there is no place for what policies look up, they
// would refuse everything, and so they are taken out of force.
func (p *pass) run(ctx context.Context) error {
	err := p.look(ctx)
	if errors.Is(err, errNowhere) {
		return errors.Join(err, p.unbind(ctx))
	}
	return err
}

func (p *pass) look(ctx context.Context) error {
	p.mode = p.gate.Status.Mode
	if p.invalid = gate.Validate(p.gate); p.invalid != nil {
		if known, err := p.stay(ctx); err != nil || !known {
			return err
		}
	}
	rules, err := gate.RulesOf(p.gate)
	if err != nil {
		return err
	}
	if err := p.follow(rules); err != nil { //nolint:contextcheck // it reads the cache, which no pass may cut short
		return err
	}
	p.decideMode()
	plan, err := p.plan(ctx)
	if err != nil {
		return err
	}
	if len(plan.wanted) == 0 {
		return nil // policies could not be made, and the status says why
	}
	if err := p.load(ctx, plan); err != nil {
		return err
	}
	if p.Running != nil {
		p.owners = p.Running.Guard(p.gate, p.writtenOwners())
	}
	p.judge(rules)
	p.choose(plan)
	if err := p.writePages(ctx, plan); err != nil {
		return err
	}
	if err := p.writeTags(ctx, plan); err != nil {
		return err
	}
	return p.divide(ctx, plan)
}

// stay has the pass follow the last valid spec, and reports whether it is known: by this
// process, or by the policies that were made for it. Without it nobody can tell what the
// policies were to look up, and they stay as they are.
func (p *pass) stay(ctx context.Context) (known bool, err error) {
	if last := p.state.spec; last != nil {
		p.gate.Spec = *last.DeepCopy()
		return true, nil
	}
	keeper := &metav1.PartialObjectMetadata{}
	keeper.SetGroupVersionKind(admissionv1.SchemeGroupVersion.WithKind("ValidatingAdmissionPolicy"))
	err = p.Cached.Get(ctx, client.ObjectKey{Name: gate.SpecKeeper(p.gate.Name)}, keeper)
	switch {
	case apierrors.IsNotFound(err):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("reading the policies of the last valid spec: %w", err)
	}
	of := p.gate.DeepCopy()
	var kept bool
	of.Spec, kept = gate.KeptSpec(keeper)
	known = kept && metav1.IsControlledBy(keeper, p.gate) && gate.Validate(of) == nil
	if known {
		p.gate.Spec = of.Spec
	}
	return known, nil
}

// follow makes the rules of the spec those that digests are judged by.
func (p *pass) follow(rules gate.Rules) error {
	s := p.state
	key, err := json.Marshal([]any{p.gate.Spec.Trust, p.gate.Spec.Require, p.gate.Spec.MaxAge, p.gate.Spec.OnExpired})
	if err != nil {
		return fmt.Errorf("encoding the gate's rules: %w", err)
	}
	trusted := map[v1alpha1.TrustedTrigger]bool{}
	for _, t := range p.gate.Spec.Trust {
		trusted[t] = true
		if !p.entries.exists(t) {
			p.missing = append(p.missing, t)
		}
	}
	s.setRules(rules, trusted)
	s.spec = p.gate.Spec.DeepCopy()
	if err := p.trustAll(); err != nil {
		return err
	}
	if s.key == string(key) && s.desired != nil {
		return nil
	}
	s.key = string(key)
	if s.desired == nil {
		s.desired = gate.NewDesired(rules)
	}
	s.mu.Lock()
	s.all = true
	s.mu.Unlock()
	return nil
}

// trustAll has the index hold what any gate that this process leads trusts.
func (p *pass) trustAll() error {
	union := map[v1alpha1.TrustedTrigger]bool{}
	for _, s := range p.all() {
		s.mu.Lock()
		for t := range s.trusted {
			union[t] = true
		}
		s.mu.Unlock()
	}
	return p.entries.trust(union, func() ([]v1alpha1.ImageVerification, error) {
		ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
		defer cancel()
		var all v1alpha1.ImageVerificationList
		if err := p.Entries.List(ctx, &all, client.UnsafeDisableDeepCopy); err != nil {
			return nil, fmt.Errorf("listing the ledger: %w", err)
		}
		return all.Items, nil
	})
}

// decideMode says which mode is in force after the pass.
func (p *pass) decideMode() {
	spec, present := p.gate.Spec.Mode, p.gate.Status.Mode
	if spec == "" {
		spec = v1alpha1.GateAudit
	}
	if p.Running != nil {
		p.ran = p.Running.Report(p.gate)
	}
	p.mode = spec
	if spec != v1alpha1.GateDeny || present == v1alpha1.GateDeny || p.gate.Spec.Force {
		return
	}
	verified, _, message := p.ran.allVerified(p.gate.Generation, p.now)
	if verified == metav1.ConditionTrue {
		return
	}
	p.mode = present
	if p.mode == "" {
		p.mode = v1alpha1.GateAudit
	}
	p.waiting = cut(p.whyNotDeny(verified, message))
}

func (p *pass) whyNotDeny(verified metav1.ConditionStatus, message string) string {
	const cure = "or set spec.force to true: what runs goes on, and cannot be started again"
	if verified == metav1.ConditionUnknown {
		return fmt.Sprintf("mode Deny waits, and %s is in force: %s. Wait, %s", p.mode, message, cure)
	}
	return fmt.Sprintf("mode Deny waits, and %s is in force: %s. Have their images verified, %s", p.mode, message, cure)
}

// judge brings what is desired up to date.
func (p *pass) judge(rules gate.Rules) {
	s := p.state
	touched, all := s.take()
	conclude := func(hex string) {
		found := rules.Judge(p.entries.evidence(hex), p.now)
		s.desired.Conclude(hex, found)
		s.look(hex, p.now)
		if p.Running != nil {
			p.Running.Concluded(p.gate.Name, hex, found)
		}
	}
	if all {
		s.desired.Reset(rules)
		for _, hex := range p.entries.digests() {
			s.desired.Conclude(hex, rules.Judge(p.entries.evidence(hex), p.now))
		}
		for _, d := range s.divisions {
			d.unlook()
		}
		s.expiryLooked = p.now
	}
	s.tagsTouched = s.tagsTouched || all || len(touched) > 0
	if key := fmt.Sprint(p.gate.Generation, p.now.UTC().Format(time.DateOnly)); key != s.tagsKey {
		s.tagsKey, s.tagsTouched = key, true // exemptions end with a day
	}
	for hex := range touched {
		if !all {
			conclude(hex)
		}
	}
	if p.now.Sub(s.looked) >= lookEvery {
		for _, d := range s.divisions {
			d.unlook() // what ran long ago is no change that anything tells
		}
		s.looked = p.now
	}
	if p.now.Sub(s.expiryLooked) >= expiryStep {
		if expired := s.desired.Expired(p.now); len(expired) > 0 {
			for _, hex := range expired {
				conclude(hex)
			}
			s.tagsTouched = true
		}
		s.expiryLooked = p.now
	}
	for hex, at := range p.ran.Seen {
		if s.desired.Saw(hex, at) {
			s.look(hex, p.now)
		}
	}
	for _, d := range s.divisions {
		d.lookAll(s.desired, p.now)
	}
}

// find classifies what leaves.
func (p *pass) find(hex string) gate.Finding {
	rules, _ := p.state.judges()
	return rules.Judge(p.entries.evidence(hex), p.now)
}

// choose says which division is wanted.
func (p *pass) choose(plan *plan) {
	present := gate.Shards(0)
	if plan.bound(gate.SixteenShards) {
		present = gate.SixteenShards
	} else if plan.bound(gate.OneShard) {
		present = gate.OneShard
	}
	p.shards = p.Limits.Shards(p.state.desired.Size(p.now), present)
}

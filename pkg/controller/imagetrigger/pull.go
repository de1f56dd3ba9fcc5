package imagetrigger

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/source"
)

const (
	// maxPullQuestions bounds the access reviews about pulling in one pass. Later
	// passes go on from there, as answers are kept.
	maxPullQuestions = 100
	// maxPullAnswers bounds the answers that are kept of one trigger.
	maxPullAnswers = 4096
	// maxRunAccounts bounds the accounts of one run that are asked for.
	maxRunAccounts = 4
	// A yes is believed for longer than a no, so that a right that was granted shows
	// soon.
	pullGrantTrust  = 10 * time.Minute
	pullRefuseTrust = 30 * time.Second
)

// pulling is whether the runs may pull what the trigger selects in namespaces other
// than its own. Their own namespace is open to them by OpenShift's default.
type pulling struct {
	// needed is false if no other namespace is selected.
	needed bool
	// accountUnknown says why the accounts of the runs are not known, or is empty.
	accountUnknown string
	accounts       []source.Account
	// everywhere is true if the accounts may pull from the whole cluster.
	everywhere bool
	// allowed counts the other namespaces from which the runs may pull.
	allowed int
	// refused are those from which none of the accounts may pull, in order.
	refused []string
	// unknown counts those of which it is not known, and why says why.
	unknown int
	why     string
}

// pullQuestion is one access review.
type pullQuestion struct {
	account         source.Account
	namespace, name string
}

type pullAnswer struct {
	allowed bool
	at      time.Time
}

// pullReviews asks within the bounds of one pass, and keeps answers from pass to pass.
type pullReviews struct {
	streams Streams
	now     time.Time
	answers map[pullQuestion]pullAnswer
	asked   int
	failed  error
}

// ask returns whether the account may pull. It returns known = false if it may not ask
// any more in this pass, or if the API server did not answer.
func (p *pullReviews) ask(ctx context.Context, q pullQuestion) (allowed, known bool) {
	if a, ok := p.answers[q]; ok {
		trust := pullRefuseTrust
		if a.allowed {
			trust = pullGrantTrust
		}
		// A clock that was set back must not make an answer last.
		if age := p.now.Sub(a.at); age >= 0 && age < trust {
			return a.allowed, true
		}
	}
	if p.failed != nil || p.asked >= maxPullQuestions {
		return false, false
	}
	p.asked++
	allowed, err := p.streams.MayPull(ctx, q.account, q.namespace, q.name)
	if err != nil {
		p.failed = err
		return false, false
	}
	if len(p.answers) >= maxPullAnswers {
		clear(p.answers) // costs one question for each
	}
	p.answers[q] = pullAnswer{allowed, p.now}
	return allowed, true
}

// namespace returns whether the account may pull all that the trigger can select in a
// namespace: every stream, or, if all its selectors name single streams, these.
func (p *pullReviews) namespace(ctx context.Context, account source.Account, namespace string, exact []string) (allowed, known bool) {
	allowed, known = p.ask(ctx, pullQuestion{account, namespace, ""})
	if allowed || !known || len(exact) == 0 {
		return allowed, known
	}
	for _, name := range exact {
		if allowed, known = p.ask(ctx, pullQuestion{account, namespace, name}); !allowed || !known {
			return allowed, known
		}
	}
	return true, true
}

// everywhere returns whether all accounts may pull from the whole cluster.
func (p *pullReviews) everywhere(ctx context.Context, accounts []source.Account) bool {
	for _, a := range accounts {
		if allowed, known := p.ask(ctx, pullQuestion{account: a}); !allowed || !known {
			return false
		}
	}
	return true
}

// observePull asks whether the runs may pull from the other namespaces that the
// trigger selects. An API server that does not answer is part of the result: what is
// not known is reported, and does not keep the pass from its other work.
func (r *Reconciler) observePull(ctx context.Context, trigger *v1alpha1.ImageTrigger, o *observed, answers map[pullQuestion]pullAnswer) pulling {
	if o.selector == nil {
		return pulling{} // FilterValid reports that
	}
	if _, others := o.selector.SelectsStreams(); !others {
		return pulling{}
	}
	found := pulling{needed: true}
	if found.accounts, found.accountUnknown = runAccounts(o); found.accountUnknown != "" {
		return found
	}
	reviews := &pullReviews{streams: r.Streams, now: r.Now(), answers: answers}
	if found.everywhere = reviews.everywhere(ctx, found.accounts); found.everywhere {
		return found
	}
	selected, err := r.selectedNamespaces(ctx, trigger)
	if err != nil {
		found.unknown, found.why = 1, err.Error()
		return found
	}
	exact := exactNames(trigger)
	for _, namespace := range selected {
		// No push of a namespace that the trigger does not see is recorded, so none is
		// pulled; Authorized reports that.
		if namespace != trigger.Namespace && !slices.Contains(o.rights.hidden, namespace) {
			found.add(ctx, reviews, namespace, exact)
		}
	}
	found.needed = found.allowed+len(found.refused)+found.unknown > 0
	if found.unknown > 0 && found.why == "" {
		found.why = fmt.Sprintf("it makes at most %d access reviews at a time; the next check continues", maxPullQuestions)
		if reviews.failed != nil {
			found.why = reviews.failed.Error()
		}
	}
	return found
}

// add asks about one namespace. Which of several accounts pulls is the pipeline's to
// know: only what holds for all of them is known.
func (p *pulling) add(ctx context.Context, reviews *pullReviews, namespace string, exact []string) {
	yes := 0
	for _, account := range p.accounts {
		allowed, known := reviews.namespace(ctx, account, namespace, exact)
		if !known {
			p.unknown++
			return
		}
		if allowed {
			yes++
		}
	}
	switch yes {
	case len(p.accounts):
		p.allowed++
	case 0:
		p.refused = append(p.refused, namespace)
	default:
		p.unknown++
		p.why = fmt.Sprintf("only some of the runs' service accounts (%s) may pull from namespace %q, and Revet does not know which task pulls", accountNames(p.accounts), namespace)
	}
}

// runAccounts returns the accounts of the trigger's runs, or why they are not known.
func runAccounts(o *observed) ([]source.Account, string) {
	accounts := o.report.RunAccounts
	switch {
	case !o.report.Checked:
		return nil, "Revet cannot inspect the sink, so it does not know the runs' service account"
	case len(accounts) == 0:
		return nil, "the sink starts no run that Revet accepts, so Revet does not know their service account; see condition TemplateAccepted"
	case len(accounts) > maxRunAccounts:
		return nil, fmt.Sprintf("the template names %d service accounts, and Revet does not know which task pulls", len(accounts))
	}
	for _, a := range accounts {
		if a.Name == "" {
			return nil, "the template names no service account for its PipelineRun, and Tekton's default is its operator's to know; write spec: {taskRunTemplate: {serviceAccountName: ...}}"
		}
	}
	return accounts, ""
}

// exactNames returns the streams that the selectors of other namespaces name, or nil
// if any of them selects more than single streams.
func exactNames(trigger *v1alpha1.ImageTrigger) []string {
	var names []string
	for i := range trigger.Spec.Images {
		streams := trigger.Spec.Images[i].ImageStreams
		if streams == nil || streams.NamespaceSelector == nil {
			continue
		}
		if len(streams.Names) == 0 || slices.ContainsFunc(streams.Names, isPattern) {
			return nil
		}
		names = append(names, streams.Names...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func isPattern(name string) bool { return strings.ContainsAny(name, "*?") }

// decidePull reports whether the runs may pull. It does not keep a trigger from Ready:
// pushes are recorded and run, and the run itself says what failed.
func decidePull(next *v1alpha1.ImageTrigger, p pulling, now time.Time) {
	switch {
	case !p.needed:
		next.UnmarkPull()
	case len(p.refused) > 0:
		next.MarkPull(metav1.ConditionFalse, v1alpha1.ReasonPullNotAllowed, p.refusal(), now)
	case p.accountUnknown != "":
		next.MarkPull(metav1.ConditionUnknown, v1alpha1.ReasonRunAccountNotKnown, p.accountUnknown+
			". If runs end with AccessDenied: "+grantPull(source.Account{Namespace: next.Namespace, Name: "ACCOUNT"}, "STREAM_NAMESPACE"), now)
	case p.unknown > 0:
		next.MarkPull(metav1.ConditionUnknown, v1alpha1.ReasonPullNotKnown, fmt.Sprintf(
			"the runs may pull from %s; for %d more Revet does not know: %s", others(p.allowed), p.unknown, p.why), now)
	case p.everywhere:
		next.MarkPull(metav1.ConditionTrue, v1alpha1.ReasonPullAllowed, "the runs may pull from all namespaces", now)
	default:
		next.MarkPull(metav1.ConditionTrue, v1alpha1.ReasonPullAllowed, "the runs may pull from "+others(p.allowed), now)
	}
}

// refusal names the namespaces and the command, and says if more is not known.
func (p *pulling) refusal() string {
	message := fmt.Sprintf("the runs' service account %s may not pull from %s, so runs of images there fail; ", accountNames(p.accounts), some(p.refused))
	var commands []string
	for _, a := range p.accounts {
		commands = append(commands, grantPull(a, p.refused[0]))
	}
	message += strings.Join(commands, " && ")
	if len(p.refused) > 1 {
		message += ", and the same for the other namespaces"
	}
	if p.unknown > 0 {
		message += fmt.Sprintf("; for %d more Revet does not know: %s", p.unknown, p.why)
	}
	return message
}

// grantPull is the command that lets an account pull from a namespace.
func grantPull(a source.Account, namespace string) string {
	return fmt.Sprintf("oc policy add-role-to-user system:image-puller %s -n %s", a.User(), namespace)
}

func others(n int) string {
	if n == 1 {
		return "1 other namespace"
	}
	return fmt.Sprintf("%d other namespaces", n)
}

func accountNames(accounts []source.Account) string {
	quoted := make([]string, 0, len(accounts))
	for _, a := range accounts {
		quoted = append(quoted, fmt.Sprintf("%q", a.Name))
	}
	return strings.Join(quoted, ", ")
}

package imagetrigger

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/source"
	"github.com/revet-dev/revet/pkg/tekton"
)

// pullFixture is a trigger in team-a that selects the namespaces with tier: prod,
// team-a among them, and whose runs use the account scanner.
func pullFixture(t *testing.T, others ...string) *fixture {
	t.Helper()
	trigger := testTrigger()
	trigger.Spec.Images[0].ImageStreams.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "prod"}}
	f := newFixture(t, trigger)
	f.cluster.pulls = map[string]bool{}
	f.cluster.report.RunAccounts = accounts("scanner")
	f.cluster.namespaces = map[string]map[string]string{"team-a": {"tier": "prod"}, "dev": {"tier": "dev"}}
	for _, name := range others {
		f.cluster.namespaces[name] = map[string]string{"tier": "prod"}
	}
	return f
}

func accounts(names ...string) []source.Account {
	var all []source.Account
	for _, name := range names {
		all = append(all, source.Account{Namespace: "team-a", Name: name})
	}
	return all
}

func (f *fixture) change(t *testing.T, change func(*v1alpha1.ImageTrigger)) {
	t.Helper()
	var trigger v1alpha1.ImageTrigger
	if err := f.client.Get(t.Context(), clientKey, &trigger); err != nil {
		t.Fatal(err)
	}
	change(&trigger)
	if err := f.client.Update(t.Context(), &trigger); err != nil {
		t.Fatal(err)
	}
}

// pullCondition is what a pass says about pulling; nil if nothing.
type pullCondition struct {
	Status          metav1.ConditionStatus
	Reason, Message string
}

func (f *fixture) pullCondition(t *testing.T) *pullCondition {
	t.Helper()
	got, _ := f.reconcile(t)
	if !got.IsReady() {
		t.Errorf("the trigger is not ready: %+v", got.Status.Conditions)
	}
	c := meta.FindStatusCondition(got.Status.Conditions, v1alpha1.ConditionPullAllowed)
	if c == nil {
		return nil
	}
	return &pullCondition{c.Status, c.Reason, c.Message}
}

// Runs can pull from another namespace only with a right there. Each way in which they
// have it, have it not, or in which that is not known is reported, and none keeps the
// trigger from Ready.
func TestPullingFromOtherNamespacesIsAskedBefore(t *testing.T) {
	const isTrue, isFalse, isUnknown = metav1.ConditionTrue, metav1.ConditionFalse, metav1.ConditionUnknown
	grant := func(rights ...string) func(*fixture) {
		return func(f *fixture) {
			for _, r := range rights {
				f.cluster.pulls[r] = true
			}
		}
	}
	named := func(names ...string) func(*testing.T, *fixture) {
		return func(t *testing.T, f *fixture) {
			f.change(t, func(tr *v1alpha1.ImageTrigger) { tr.Spec.Images[0].ImageStreams.Names = names })
		}
	}
	for _, test := range []struct {
		name   string
		others []string
		do     func(*fixture)
		edit   func(*testing.T, *fixture)
		want   *pullCondition
		asked  []string
	}{
		{"its own namespace alone is open by default", nil, grant(), nil, nil, []string{"scanner /"}},
		{"no namespace selector: nothing is asked", []string{"team-b"}, grant(), func(t *testing.T, f *fixture) {
			f.change(t, func(tr *v1alpha1.ImageTrigger) { tr.Spec.Images[0].ImageStreams.NamespaceSelector = nil })
		}, nil, nil},
		{"the whole cluster is open", []string{"team-b"}, grant("scanner /"), nil,
			&pullCondition{isTrue, "PullAllowed", "the runs may pull from all namespaces"}, []string{"scanner /"}},
		{"each namespace is open", []string{"team-b", "team-c"}, grant("scanner team-b/", "scanner team-c/"), nil,
			&pullCondition{isTrue, "PullAllowed", "the runs may pull from 2 other namespaces"}, []string{"scanner /", "scanner team-b/", "scanner team-c/"}},
		{"one is closed", []string{"team-b", "team-c"}, grant("scanner team-b/"), nil,
			&pullCondition{isFalse, "PullNotAllowed", `the runs' service account "scanner" may not pull from namespace "team-c", so runs of images there fail; ` +
				"oc policy add-role-to-user system:image-puller system:serviceaccount:team-a:scanner -n team-c"},
			[]string{"scanner /", "scanner team-b/", "scanner team-c/"}},
		{"many are closed", []string{"b", "c", "d", "e", "f"}, grant(), nil,
			&pullCondition{isFalse, "PullNotAllowed", `the runs' service account "scanner" may not pull from namespaces "b", "c", "d" and 2 more, so runs of images there fail; ` +
				"oc policy add-role-to-user system:image-puller system:serviceaccount:team-a:scanner -n b, and the same for the other namespaces"},
			[]string{"scanner /", "scanner b/", "scanner c/", "scanner d/", "scanner e/", "scanner f/"}},
		{"single streams are open", []string{"team-b"}, grant("scanner team-b/app", "scanner team-b/web"), named("web", "app"),
			&pullCondition{isTrue, "PullAllowed", "the runs may pull from 1 other namespace"}, []string{"scanner /", "scanner team-b/", "scanner team-b/app", "scanner team-b/web"}},
		{"one of the single streams is closed", []string{"team-b"}, grant("scanner team-b/app"), named("web", "app"),
			&pullCondition{isFalse, "PullNotAllowed", `the runs' service account "scanner" may not pull from namespace "team-b", so runs of images there fail; ` +
				"oc policy add-role-to-user system:image-puller system:serviceaccount:team-a:scanner -n team-b"},
			[]string{"scanner /", "scanner team-b/", "scanner team-b/app", "scanner team-b/web"}},
		{"a single stream is open, and a pattern selects others", []string{"team-b"}, grant("scanner team-b/app"), named("app", "web-*"),
			&pullCondition{isFalse, "PullNotAllowed", `the runs' service account "scanner" may not pull from namespace "team-b", so runs of images there fail; ` +
				"oc policy add-role-to-user system:image-puller system:serviceaccount:team-a:scanner -n team-b"}, []string{"scanner /", "scanner team-b/"}},
		{"the API server does not answer", []string{"team-b", "team-c"}, func(f *fixture) { f.cluster.pulls["scanner /"], f.cluster.pullErr = true, errors.New("away") }, nil,
			&pullCondition{isUnknown, "PullNotKnown", "the runs may pull from 0 other namespaces; for 2 more Revet does not know: away"}, []string{"scanner /"}},
		{"a namespace whose streams the trigger does not see", []string{"team-b", "team-c"}, func(f *fixture) {
			f.cluster.denied["/"], f.cluster.denied["team-c/"] = true, true
			f.cluster.pulls["scanner team-b/"] = true
		}, nil, &pullCondition{isTrue, "PullAllowed", "the runs may pull from 1 other namespace"}, []string{"scanner /", "scanner team-b/"}},
		{"two accounts, and both are refused", []string{"team-b"}, func(f *fixture) { f.cluster.report.RunAccounts = accounts("scanner", "pusher") }, nil,
			&pullCondition{isFalse, "PullNotAllowed", `the runs' service account "scanner", "pusher" may not pull from namespace "team-b", so runs of images there fail; ` +
				"oc policy add-role-to-user system:image-puller system:serviceaccount:team-a:scanner -n team-b && " +
				"oc policy add-role-to-user system:image-puller system:serviceaccount:team-a:pusher -n team-b"},
			[]string{"scanner /", "scanner team-b/", "pusher team-b/"}},
		{"two accounts, and one is refused", []string{"team-b"}, func(f *fixture) {
			f.cluster.report.RunAccounts = accounts("scanner", "pusher")
			f.cluster.pulls["scanner /"], f.cluster.pulls["scanner team-b/"] = true, true
		}, nil, &pullCondition{isUnknown, "PullNotKnown", "the runs may pull from 0 other namespaces; for 1 more Revet does not know: " +
			`only some of the runs' service accounts ("scanner", "pusher") may pull from namespace "team-b", and Revet does not know which task pulls`},
			[]string{"scanner /", "pusher /", "scanner team-b/", "pusher team-b/"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := pullFixture(t, test.others...)
			test.do(f)
			if test.edit != nil {
				test.edit(t, f)
			}
			if diff := cmp.Diff(test.want, f.pullCondition(t)); diff != "" {
				t.Errorf("condition (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.asked, f.cluster.pullsAsked); diff != "" {
				t.Errorf("questions (-want +got):\n%s", diff)
			}
		})
	}
}

// Where the account of the runs is not known, whether they may pull is not known.
func TestPullingByAnUnknownAccountIsNotKnown(t *testing.T) {
	for _, test := range []struct {
		name string
		as   tekton.Report
		says string
	}{
		{"a sink that cannot be inspected", tekton.Report{Findings: []tekton.Finding{{Reason: tekton.NotCheckable}}}, "cannot inspect the sink"},
		{"no run that is accepted", tekton.Report{Checked: true}, "condition TemplateAccepted"},
		{"Tekton's default account", tekton.Report{Checked: true, RunAccounts: accounts("")}, "taskRunTemplate: {serviceAccountName: ...}"},
		{"a default account for one task", tekton.Report{Checked: true, RunAccounts: accounts("scanner", "")}, "names no service account"},
		{"too many accounts", tekton.Report{Checked: true, RunAccounts: accounts("a", "b", "c", "d", "e")}, "names 5 service accounts"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := pullFixture(t, "team-b")
			f.cluster.report = test.as
			got := f.pullCondition(t)
			if got == nil || got.Status != metav1.ConditionUnknown || got.Reason != "RunAccountNotKnown" || !strings.Contains(got.Message, test.says) ||
				!strings.Contains(got.Message, "oc policy add-role-to-user system:image-puller system:serviceaccount:team-a:ACCOUNT -n STREAM_NAMESPACE") {
				t.Errorf("condition %+v, want Unknown that says %q", got, test.says)
			}
			if len(f.cluster.pullsAsked) > 0 {
				t.Errorf("asked %q", f.cluster.pullsAsked)
			}
		})
	}
}

// A trigger of many namespaces costs a bounded number of questions in each pass. What
// was not asked is not known, and the next passes ask on.
func TestQuestionsAboutPullingAreBounded(t *testing.T) {
	var others []string
	for i := range 150 {
		others = append(others, fmt.Sprintf("team-%03d", i))
	}
	f := pullFixture(t, others...)
	for _, o := range others {
		f.cluster.pulls["scanner "+o+"/"] = true
	}
	type pass struct {
		Pull  pullCondition
		Asked int
	}
	var got []pass
	for range 3 {
		c := f.pullCondition(t)
		got = append(got, pass{*c, len(f.cluster.pullsAsked)})
		f.cluster.pullsAsked = nil
		f.now = f.now.Add(time.Second)
	}
	all := pullCondition{metav1.ConditionTrue, "PullAllowed", "the runs may pull from 150 other namespaces"}
	want := []pass{
		{pullCondition{metav1.ConditionUnknown, "PullNotKnown", "the runs may pull from 99 other namespaces; for 51 more Revet does not know: it makes at most 100 access reviews at a time; the next check continues"}, 100},
		{all, 51},
		{all, 0},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("passes (-want +got):\n%s", diff)
	}
}

// A no is asked again soon, so that a right that was granted shows; a yes later, and
// neither is believed when the clock was set back.
func TestAnswersAboutPullingAreKeptForAWhile(t *testing.T) {
	for _, test := range []struct {
		name  string
		was   bool
		later time.Duration
		asked int
	}{
		{"a no is kept", false, pullRefuseTrust - 1, 0},
		{"a no is asked again", false, pullRefuseTrust, 2},
		{"a yes is kept", true, pullRefuseTrust, 1}, // the question about the whole cluster
		{"a yes is asked again", true, pullGrantTrust, 2},
		{"a clock that was set back", true, -time.Second, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := pullFixture(t, "team-b")
			f.cluster.pulls["scanner team-b/"] = test.was
			f.pullCondition(t)
			f.cluster.pullsAsked = nil
			f.now = f.now.Add(test.later)
			f.pullCondition(t)
			if len(f.cluster.pullsAsked) != test.asked {
				t.Errorf("asked %q, want %d questions", f.cluster.pullsAsked, test.asked)
			}
		})
	}
}

// That runs may not pull is an Event, once; that they may again is one too. The pass
// comes back soon, as rights are not watched. A trigger that no longer selects other
// namespaces has no such condition.
func TestThatRunsMayNotPullIsReportedOnce(t *testing.T) {
	f := pullFixture(t, "team-b")
	if _, after := f.reconcile(t); after != 2*time.Second {
		t.Errorf("the next pass is after %v", after)
	}
	f.reconcile(t)
	got := f.reported()
	f.cluster.pulls["scanner team-b/"] = true
	f.now = f.now.Add(time.Minute)
	f.reconcile(t)
	got = append(got, f.reported()...)
	want := []string{
		"Normal Ready pushes are verified",
		`Warning PullNotAllowed the runs' service account "scanner" may not pull from namespace "team-b", so runs of images there fail; ` +
			"oc policy add-role-to-user system:image-puller system:serviceaccount:team-a:scanner -n team-b",
		"Normal PullAllowed the runs may pull from 1 other namespace",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Events (-want +got):\n%s", diff)
	}
	f.change(t, func(tr *v1alpha1.ImageTrigger) { tr.Spec.Images[0].ImageStreams.NamespaceSelector = nil })
	if c := f.pullCondition(t); c != nil {
		t.Errorf("condition %+v of a trigger that selects its own namespace", c)
	}
}

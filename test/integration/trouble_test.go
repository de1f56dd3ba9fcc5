package integration

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	triggersv1beta1 "github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
	nodev1 "k8s.io/api/node/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/app"
)

// troubled is a namespace whose way to a run is broken and mended.
type troubled struct {
	t         *testing.T
	namespace string
	stand     *standInListener
	admin     client.Client
}

// breakage is something that breaks on the way from a request to its run.
type breakage struct {
	name   string
	reason string
	cure   string
	// harmless: runs can be made until the trigger has noticed.
	harmless bool
	broken   func(troubled)
	mended   func(troubled)
}

// Property: whatever breaks on the way from a request to its run, the trigger and
// the entries say what it is, and once it is mended every push gets its one run,
// without a restart. The listener is a stand-in with the rights of the listener's
// own account, which answers 202 whatever becomes of a request.
func TestWhatBreaksIsToldAndEveryPushRunsOnceItIsMended(t *testing.T) {
	ownCluster(t)
	startController(t, "one")
	r := receiver(t)
	var all sync.WaitGroup
	for _, b := range []breakage{
		{"the listener's account loses its rights", "RunsNotAllowed", "kubectl create rolebinding runner-runs", false,
			func(n troubled) { n.delete(n.rights()) },
			func(n troubled) { n.create(n.rights()) }},
		{"the RuntimeClass is deleted", "RuntimeClassNotFound", "kubectl get runtimeclasses", true,
			func(n troubled) { n.delete(n.class()) },
			func(n troubled) { n.create(n.class()) }},
		{"a binding reads what a request does not have", "ParamUnresolved", "read another field", false,
			func(n troubled) {
				n.stand.drops(true)
				n.template(func(el *triggersv1beta1.EventListener) {
					text := "$(body.runName)"
					el.Spec.Triggers[0].Bindings[0].Value = &text
				})
			},
			func(n troubled) {
				n.template(func(*triggersv1beta1.EventListener) {})
				n.stand.drops(false)
			}},
		{"the template does not use the run's name", "NameNotRun", "metadata: {name: $(tt.params.run)}", false,
			func(n troubled) {
				n.stand.drops(true)
				n.template(func(el *triggersv1beta1.EventListener) { el.Spec = newListener(n.t, n.namespace, "name: scan").Spec })
			},
			func(n troubled) {
				n.template(func(*triggersv1beta1.EventListener) {})
				n.stand.drops(false)
			}},
		{"the listener is deleted", "SinkNotFound", "create it, or correct spec.sink.ref", false,
			func(n troubled) {
				n.delete(newListener(n.t, n.namespace, "name: $(tt.params.run)"))
				n.stand.server.Close()
			},
			func(n troubled) {
				n.stand.server = httptest.NewServer(n.stand)
				n.t.Cleanup(n.stand.server.Close)
				listener := newListener(n.t, n.namespace, "name: $(tt.params.run)")
				n.create(listener)
				listener.Status.SetAddress(strings.TrimPrefix(n.stand.server.URL, "http://"))
				n.must(n.admin.Status().Update(n.t.Context(), listener))
			}},
	} {
		// Each has a namespace of its own, and waits most of the time.
		all.Go(func() { t.Run(b.name, func(t *testing.T) { b.happens(t, r) }) })
	}
	all.Wait()
}

func (b breakage) happens(t *testing.T, r *app.Receiver) {
	namespace, stand := verifiedNamespace(t)
	n := troubled{t: t, namespace: namespace, stand: stand, admin: admin(t)}
	runner, err := client.New(account(t, namespace, "runner"), client.Options{Scheme: n.admin.Scheme()})
	n.must(err)
	stand.client = runner
	number := 0
	push := func() {
		t.Helper()
		stream := fmt.Sprintf("app%d", number)
		number++
		push(t, namespace+"/"+stream+":v1")
		if code, body := send(t, r, streamNamed(t, namespace, stream)); code != http.StatusAccepted {
			t.Fatalf("the receiver answered %d %s", code, body)
		}
	}
	push()
	inPhase(t, namespace, 1, v1alpha1.PhaseRunning)

	// One push is taken by the listener, and lost, while all still seems well.
	stand.drops(true)
	push()
	eventually(t, "the listener took a second request", func() error {
		if got := stand.asked(); got != 2 {
			return fmt.Errorf("%d requests", got)
		}
		return nil
	})
	stand.drops(false)
	b.broken(n)
	if b.harmless {
		n.notReady(b.reason, b.cure)
	}
	push()
	push()
	n.says(b.reason, b.cure, number-1)
	b.mended(n)
	inPhase(t, namespace, number, v1alpha1.PhaseRunning)
	standInRuns(t, namespace, "pass", "class-"+namespace)
	inPhase(t, namespace, number, v1alpha1.PhasePassed)
	oneRunEach(t, namespace)
}

// notReady waits until the trigger says what is wrong.
func (n troubled) notReady(reason, cure string) {
	n.t.Helper()
	eventually(n.t, "the trigger says "+reason, func() error {
		ready := meta.FindStatusCondition(triggerNamed(n.t, n.namespace, "vet").Status.Conditions, v1alpha1.ConditionReady)
		if ready == nil || ready.Status != metav1.ConditionFalse || ready.Reason != reason || !strings.Contains(ready.Message, cure) {
			return fmt.Errorf("the trigger says %+v", ready)
		}
		return nil
	})
}

// says waits until the trigger, and all entries without a run, say what is wrong.
func (n troubled) says(reason, cure string, waiting int) {
	n.t.Helper()
	n.notReady(reason, cure)
	eventually(n.t, "the entries say "+reason, func() error {
		say := 0
		for _, e := range entriesOf(n.t, n.namespace) {
			s := e.Status
			switch {
			case s.Phase == v1alpha1.PhaseRunning:
			case s.Reason == reason && strings.Contains(s.Message, cure):
				say++
			default:
				return fmt.Errorf("entry %s is %s/%s: %s", e.Name, s.Phase, s.Reason, s.Message)
			}
		}
		if say != waiting {
			return fmt.Errorf("%d entries say so, want %d", say, waiting)
		}
		return nil
	})
}

func (n troubled) must(err error) {
	n.t.Helper()
	if err != nil {
		n.t.Fatal(err)
	}
}

func (n troubled) delete(o client.Object) { n.t.Helper(); n.must(n.admin.Delete(n.t.Context(), o)) }

func (n troubled) create(o client.Object) { n.t.Helper(); n.must(n.admin.Create(n.t.Context(), o)) }

func (n troubled) rights() *rbacv1.RoleBinding {
	return &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: n.namespace, Name: "runs"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "runs"},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: n.namespace, Name: "runner"}},
	}
}

func (n troubled) class() *nodev1.RuntimeClass {
	return &nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: "class-" + n.namespace}, Handler: "runsc"}
}

// template makes the listener's spec what it was at first, changed.
func (n troubled) template(change func(*triggersv1beta1.EventListener)) {
	n.t.Helper()
	var listener triggersv1beta1.EventListener
	n.must(n.admin.Get(n.t.Context(), client.ObjectKey{Namespace: n.namespace, Name: "scan"}, &listener))
	listener.Spec = newListener(n.t, n.namespace, "name: $(tt.params.run)").Spec
	change(&listener)
	n.must(n.admin.Update(n.t.Context(), &listener))
}

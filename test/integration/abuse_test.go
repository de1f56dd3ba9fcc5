package integration

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// abuse is a cluster in which people try what they should not: own is the namespace that the
// editor edits, and other is another team's.
type abuse struct {
	t          *testing.T
	own, other string
}

// try is a row of the table: who tries what, and what the answer says. An answer of "" is
// that it is allowed.
type try struct {
	tried string
	do    attempt
	want  string
}

func newAbuse(t *testing.T) *abuse {
	t.Helper()
	a := &abuse{t: t, own: newNamespace(t), other: newNamespace(t)}
	aggregate(t)
	recorder := clientOf(t, account(t, systemNamespace, "receiver"))
	for _, namespace := range []string{a.own, a.other} {
		trigger(t, namespace)
		e := entryOf(namespace, "web-1")
		e.Spec.Requests = []string{"of-others"}
		if err := recorder.Create(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{
			"{apiVersion: v1, kind: ConfigMap, metadata: {name: revet-scan-policy, namespace: %s}, data: {policy.yaml: ''}}",
			"{apiVersion: v1, kind: Secret, metadata: {name: registry, namespace: %s}, stringData: {password: x}}",
			"{apiVersion: tekton.dev/v1, kind: Task, metadata: {name: scan-image, namespace: %s}, spec: {steps: [{name: a, image: x}]}}",
			"{apiVersion: tekton.dev/v1, kind: PipelineRun, metadata: {name: run-1, namespace: %s, labels: {revet.dev/run: run-1}}, spec: {pipelineRef: {name: p}, status: PipelineRunPending}}",
		} {
			if err := admin(t).Create(t.Context(), parse(t, fmt.Sprintf(text, namespace))); err != nil {
				t.Fatal(err)
			}
		}
	}
	return a
}

// belongings are all objects that are of others: of the other team, and of Revet itself, by
// name and version. Whoever tried something has changed nothing if they stay equal.
func (a *abuse) belongings() map[string]string {
	a.t.Helper()
	found := map[string]string{}
	for _, name := range []string{
		"revet.dev/v1alpha1 ImageVerification " + a.other, "revet.dev/v1alpha1 ImageTrigger " + a.other, "revet.dev/v1alpha1 ImageVerification " + a.own,
		"v1 ConfigMap " + a.other, "v1 Secret " + a.other, "tekton.dev/v1 Task " + a.other, "tekton.dev/v1 PipelineRun " + a.other,
		"v1 ConfigMap " + systemNamespace, "v1 Secret " + systemNamespace, "v1 Pod " + systemNamespace, "v1 ServiceAccount " + systemNamespace,
		"revet.dev/v1alpha1 VerifiedImages -", "revet.dev/v1alpha1 ImageGate -", "coordination.k8s.io/v1 Lease " + systemNamespace,
		"admissionregistration.k8s.io/v1 ValidatingAdmissionPolicy -", "admissionregistration.k8s.io/v1 ValidatingAdmissionPolicyBinding -",
		"rbac.authorization.k8s.io/v1 ClusterRole -", "rbac.authorization.k8s.io/v1 ClusterRoleBinding -", "rbac.authorization.k8s.io/v1 RoleBinding " + systemNamespace,
	} {
		o := named(a.t, name+" all")
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(o.GroupVersionKind())
		if err := admin(a.t).List(a.t.Context(), list, client.InNamespace(o.GetNamespace())); err != nil {
			a.t.Fatalf("%s: %v", name, err)
		}
		for _, o := range list.Items {
			found[o.GetKind()+" "+o.GetNamespace()+"/"+o.GetName()] = o.GetResourceVersion()
		}
	}
	return found
}

// runs tries the rows one after another, and holds each to its own reason.
func (a *abuse) runs(who string, as actor, rows []try) {
	a.t.Helper()
	for _, row := range rows {
		a.t.Run(who+": "+row.tried, func(t *testing.T) {
			err := row.do(as)
			switch {
			case row.want == "" && err != nil:
				t.Errorf("it is refused: %v", err)
			case row.want != "" && err == nil:
				t.Errorf("it is allowed, want a refusal that says %q", row.want)
			case row.want != "" && (!apierrors.IsForbidden(err) || !strings.Contains(err.Error(), row.want)):
				t.Errorf("the answer is %v, want a refusal that says %q", err, row.want)
			}
		})
	}
}

// Property: nobody reads, stops, forges or changes what is another's, be it with edit in a
// namespace of their own, with the right to ask for runs, with no right in the cluster but a
// registry's, or as a Pod's account. Each attempt is refused for its own reason.
func TestNobodyTouchesWhatIsAnothers(t *testing.T) {
	ownCluster(t)
	a := newAbuse(t)
	editor := person(t, a.own, "editor", "edit")
	replayer := person(t, a.own, "replayer", "revet-replay")
	eventually(t, "the roles are in force", func() error {
		for _, try := range []struct {
			by actor
			do attempt
		}{{editor, listing("revet.dev/v1alpha1 ImageTrigger " + a.own)}, {replayer, listing("revet.dev/v1alpha1 ImageTrigger " + a.own)}} {
			if err := try.do(try.by); err != nil {
				return err
			}
		}
		return nil
	})
	runPolicy(t)
	before := a.belongings()
	a.runs("edit", editor, a.byAnEditor())
	a.runs("edit, for more rights", editor, a.forMoreRights())
	a.runs("revet-replay", replayer, a.byAReplayer())
	a.runs("a pusher", person(t, a.own, "pusher"), a.byAnybody("pusher"))
	pod := "system:serviceaccount:" + a.own + ":default"
	a.runs("a Pod", actorOf(t, account(t, a.own, "default")), a.byAnybody(pod))
	after := a.belongings()
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("what is others' changed (-before +after):\n%s", diff)
	}
	if len(before) < 40 {
		t.Errorf("only %d objects were compared: %v", len(before), slices.Collect(maps.Keys(before)))
	}
}

const entryKind, triggerKind = "revet.dev/v1alpha1 ImageVerification ", "revet.dev/v1alpha1 ImageTrigger "

// byAnEditor is what edit in one namespace tries at verdicts, ledgers and gates.
func (a *abuse) byAnEditor() []try {
	const entries, triggers, gates, maps = "imageverifications.revet.dev", "imagetriggers.revet.dev", "imagegates.revet.dev", "verifiedimages.revet.dev"
	own, other, system := a.own, a.other, systemNamespace
	entry := entryOf(own, "forged")
	forged := fmt.Sprintf("{apiVersion: revet.dev/v1alpha1, kind: ImageVerification, metadata: {name: forged, namespace: %s}, "+
		"spec: {trigger: {name: vet, uid: u}, repository: {kind: Registry, name: r.example.com/a, pull: r.example.com/a}, digest: '%s', "+
		"firstPush: {tag: v1, pushedAt: '2026-01-01T00:00:00Z', observedAt: '2026-01-01T00:00:00.000000Z', source: event}}}", own, entry.Spec.Digest)
	const passed = `{"status":{"phase":"Passed"}}`
	return []try{
		{"sees its own ledger", listing(entryKind + own), ""},
		{"sees its own triggers", listing(triggerKind + own), ""},
		{"forges an entry", creating(forged), refused("create", entries, own)},
		{"forges a verdict", patchingStatus(entryKind+own+" web-1", passed), refused("patch", "imageverifications/status.revet.dev", own)},
		{"asks for a run without the right to", patching(entryKind+own+" web-1", `{"spec":{"requests":["mine"]}}`), refused("patch", entries, own)},
		{"writes a note on an entry", patching(entryKind+own+" web-1", `{"metadata":{"annotations":{"a":"b"}}}`), refused("patch", entries, own)},
		{"removes an entry", deleting(entryKind + own + " web-1"), refused("delete", entries, own)},
		{"makes a trigger ready by its status", patchingStatus(triggerKind+own+" vet", `{"status":{"sinkURI":"http://evil.example.com"}}`), refused("patch", "imagetriggers/status.revet.dev", own)},
		{"reads another's ledger", listing(entryKind + other), refused("list", entries, other)},
		{"reads all ledgers", listing(entryKind + "-"), refused("list", entries, "")},
		{"reads another's entry", reading(entryKind + other + " web-1"), `cannot get resource "imageverifications"`},
		{"forges another's verdict", patchingStatus(entryKind+other+" web-1", passed), refused("patch", "imageverifications/status.revet.dev", other)},
		{"reads another's triggers", listing(triggerKind + other), refused("list", triggers, other)},
		{"changes another's trigger", patching(triggerKind+other+" vet", `{"spec":{"maxConcurrent":1}}`), refused("patch", triggers, other)},
		{"removes another's trigger", deleting(triggerKind + other + " vet"), refused("delete", triggers, other)},
		{"reads another's policy", reading("v1 ConfigMap " + other + " revet-scan-policy"), refused("get", "configmaps", other)},
		{"changes another's policy", patching("v1 ConfigMap "+other+" revet-scan-policy", `{"data":{"policy.yaml":"x"}}`), refused("patch", "configmaps", other)},
		{"changes another's Task", patching("tekton.dev/v1 Task "+other+" scan-image", `{"spec":{"description":"x"}}`), refused("patch", "tasks.tekton.dev", other)},
		{"reads another's runs", listing("tekton.dev/v1 PipelineRun " + other), refused("list", "pipelineruns.tekton.dev", other)},
		{"stops another's run", patching("tekton.dev/v1 PipelineRun "+other+" run-1", `{"spec":{"status":"Cancelled"}}`), refused("patch", "pipelineruns.tekton.dev", other)},
		{"makes another's run", creating(fmt.Sprintf("{apiVersion: tekton.dev/v1, kind: PipelineRun, metadata: {name: run-2, namespace: %s, labels: {revet.dev/run: run-2}}, spec: {pipelineRef: {name: p}}}", other)), refused("create", "pipelineruns.tekton.dev", other)},
		{"reads the credentials of another's pipeline", reading("v1 Secret " + other + " registry"), refused("get", "secrets", other)},
		{"declares a gate", creating("{apiVersion: revet.dev/v1alpha1, kind: ImageGate, metadata: {name: mine}, spec: {mode: Audit, namespaceSelector: {}, trust: [{namespace: a, trigger: b}]}}"), refused("create", gates, "")},
		{"removes a gate", deleting("revet.dev/v1alpha1 ImageGate - production"), refused("delete", gates, "")},
		{"reads what gates admit", listing("revet.dev/v1alpha1 VerifiedImages " + system), refused("list", maps, system)},
		{"adds to what a gate admits", patching("revet.dev/v1alpha1 VerifiedImages "+system+" production", `{"digests":{}}`), refused("patch", maps, system)},
		{"reads the keys of the attestor", reading("v1 Secret " + system + " revet-attestation-keys"), refused("get", "secrets", system)},
		{"reads the keys of Revet's requests", reading("v1 Secret " + system + " revet-request-key"), refused("get", "secrets", system)},
		{"signs requests by a key of its own", patching("v1 Secret "+system+" revet-request-key", `{"data":{"z":"eHh4"}}`), refused("patch", "secrets", system)},
		{"has listeners ask a Service of its own", patching("triggers.tekton.dev/v1alpha1 ClusterInterceptor - revet", `{"spec":{"clientConfig":{"url":"http://mine"}}}`), refused("patch", "clusterinterceptors.triggers.tekton.dev", "")},
		{"reads the key of the weights", reading("v1 Secret " + system + " revet-sandbox-key"), refused("get", "secrets", system)},
		{"has its verdicts signed", patching("v1 ConfigMap "+system+" config-attestation", `{"data":{"triggers.yaml":"x"}}`), refused("patch", "configmaps", system)},
		{"lists a host of its own as a sink", patching("v1 ConfigMap "+system+" config-sinks", `{"data":{"sinks.yaml":"x"}}`), refused("patch", "configmaps", system)},
	}
}

// forMoreRights is what edit in one namespace tries to become somebody else, or to take away
// what stops it.
func (a *abuse) forMoreRights() []try {
	own, system := a.own, systemNamespace
	pod := func(account string) string {
		return fmt.Sprintf("{apiVersion: v1, kind: Pod, metadata: {name: mine, namespace: %s}, spec: {serviceAccountName: %s, containers: [{name: a, image: a}]}}", system, account)
	}
	const runs = "a run with the label revet.dev/run is made by the EventListener of an ImageTrigger only"
	const policies, bindings = "validatingadmissionpolicies.admissionregistration.k8s.io", "validatingadmissionpolicybindings.admissionregistration.k8s.io"
	return []try{
		{"acts as Revet's controller", as("system:serviceaccount:"+system+":controller", asking(http.MethodGet, "/apis/revet.dev/v1alpha1/imageverifications")), `cannot impersonate resource "serviceaccounts" in API group "" in the namespace "` + system + `"`},
		{"acts as an account of its own namespace", as("system:serviceaccount:"+own+":scan-and-validate", creating(`{apiVersion: authorization.k8s.io/v1, kind: SelfSubjectAccessReview, spec: {resourceAttributes: {verb: get, resource: pods}}}`)), ""},
		{"writes the ledger as an account of its own namespace", as("system:serviceaccount:"+own+":scan-and-validate", deleting(entryKind+own+" web-1")), refused("delete", "imageverifications.revet.dev", own)},
		{"takes a token of Revet's controller", asking(http.MethodPost, "/api/v1/namespaces/"+system+"/serviceaccounts/controller/token"), refused("create", "serviceaccounts/token", system)},
		{"runs a Pod as the attestor", creating(pod("attestor")), refused("create", "pods", system)},
		{"enters a Pod of Revet's", asking(http.MethodPost, "/api/v1/namespaces/"+system+"/pods/receiver/exec"), refused("create", "pods/exec", system)},
		{"reaches a Pod of Revet's through the API server", asking(http.MethodGet, "/api/v1/namespaces/"+system+"/pods/receiver:8080/proxy/"), refused("get", "pods/proxy", system)},
		{"reaches a Service of Revet's through the API server", asking(http.MethodPost, "/api/v1/namespaces/"+system+"/services/receiver/proxy/"), refused("create", "services/proxy", system)},
		{"reaches a node's kubelet through the API server", asking(http.MethodGet, "/api/v1/nodes/n/proxy/pods"), `at the cluster scope`},
		{"takes the controller's lease", patching("coordination.k8s.io/v1 Lease "+system+" revet", `{"spec":{"holderIdentity":"me"}}`), refused("patch", "leases.coordination.k8s.io", system)},
		{"makes a lease before the controller does", creating("{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {name: revet, namespace: " + system + "}, spec: {}}"), refused("create", "leases.coordination.k8s.io", system)},
		{"asks what others may", creating("{apiVersion: authorization.k8s.io/v1, kind: SubjectAccessReview, spec: {user: admin, resourceAttributes: {verb: get, resource: pods}}}"), refused("create", "subjectaccessreviews.authorization.k8s.io", "")},
		{"asks what others may in its namespace", creating("{apiVersion: authorization.k8s.io/v1, kind: LocalSubjectAccessReview, metadata: {namespace: " + own + "}, spec: {user: admin, resourceAttributes: {namespace: " + own + ", verb: get, resource: pods}}}"), refused("create", "localsubjectaccessreviews.authorization.k8s.io", own)},
		{"gives itself revet-replay", creating("{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: mine, namespace: " + own + "}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: revet-replay}, subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: editor}]}"), refused("create", "rolebindings.rbac.authorization.k8s.io", own)},
		{"labels its namespace", patching("v1 Namespace - "+own, `{"metadata":{"labels":{"revet.dev/source":"true"}}}`), `cannot patch resource "namespaces"`},
		{"removes the policy of the ledger", deleting("admissionregistration.k8s.io/v1 ValidatingAdmissionPolicy - revet-ledger"), refused("delete", policies, "")},
		{"takes the policy of the ledger out of force", deleting("admissionregistration.k8s.io/v1 ValidatingAdmissionPolicyBinding - revet-ledger"), refused("delete", bindings, "")},
		{"changes the kinds", patching("apiextensions.k8s.io/v1 CustomResourceDefinition - imageverifications.revet.dev", `{"spec":{"group":"x"}}`), refused("patch", "customresourcedefinitions.apiextensions.k8s.io", "")},
		{"lets itself into Revet's network", deleting("networking.k8s.io/v1 NetworkPolicy " + system + " receiver"), refused("delete", "networkpolicies.networking.k8s.io", system)},
		{"makes a run of Revet's", creating("{apiVersion: tekton.dev/v1, kind: PipelineRun, metadata: {name: run-4, namespace: " + own + ", labels: {revet.dev/run: run-4}}, spec: {pipelineRef: {name: p}}}"), runs},
		{"makes a run of its own", creating("{apiVersion: tekton.dev/v1, kind: PipelineRun, metadata: {name: mine, namespace: " + own + "}, spec: {pipelineRef: {name: p}}}"), ""},
		{"passes it off as Revet's", patching("tekton.dev/v1 PipelineRun "+own+" mine", `{"metadata":{"labels":{"revet.dev/run":"mine"}}}`), runs},
		{"changes what a run of Revet's runs", patching("tekton.dev/v1 PipelineRun "+own+" run-1", `{"spec":{"pipelineRef":{"name":"mine"}}}`), runs},
		{"stops a run where it verifies itself", patching("tekton.dev/v1 PipelineRun "+own+" run-1", `{"spec":{"status":"Cancelled"}}`), ""},
		{"changes the policy of its own namespace: whoever verifies there can", patching("v1 ConfigMap "+own+" revet-scan-policy", `{"data":{"policy.yaml":"x"}}`), ""},
		{"changes the Task of its own namespace: whoever verifies there can", patching("tekton.dev/v1 Task "+own+" scan-image", `{"spec":{"description":"x"}}`), ""},
	}
}

// byAReplayer is what the right to ask for runs is used for.
func (a *abuse) byAReplayer() []try {
	const policy = "the ledger is written by Revet's own service accounts only"
	own := client.ObjectKey{Namespace: a.own, Name: "web-1"}
	ask := func(requests ...string) attempt {
		return updating(own, func(e *v1alpha1.ImageVerification) { e.Spec.Requests = requests })
	}
	return []try{
		{"asks for a run", updatingDry(own, func(e *v1alpha1.ImageVerification) { e.Spec.Requests = append(e.Spec.Requests, "mine") }), ""},
		{"drops another's request", ask(), policy},
		{"puts its own in its place", ask("mine"), policy},
		{"writes a note on an entry", updating(own, func(e *v1alpha1.ImageVerification) { e.Annotations = map[string]string{"a": "b"} }), policy},
		{"has an entry stay", updating(own, func(e *v1alpha1.ImageVerification) { e.Finalizers = []string{"example.com/stay"} }), policy},
		{"gives an entry to another trigger", updating(own, func(e *v1alpha1.ImageVerification) { e.Labels = map[string]string{v1alpha1.TriggerUIDLabel: "u"} }), policy},
		{"records a push that was none", func(r actor) error { return r.Create(a.t.Context(), entryOf(a.own, "forged")) }, policy},
		{"forges a verdict", patchingStatus(entryKind+a.own+" web-1", `{"status":{"phase":"Passed"}}`), refused("patch", "imageverifications/status.revet.dev", a.own)},
		{"removes an entry", deleting(entryKind + a.own + " web-1"), refused("delete", "imageverifications.revet.dev", a.own)},
		{"changes the trigger", patching(triggerKind+a.own+" vet", `{"spec":{"maxConcurrent":1}}`), refused("patch", "imagetriggers.revet.dev", a.own)},
		{"reads another's entry", reading(entryKind + a.other + " web-1"), refused("get", "imageverifications.revet.dev", a.other)},
	}
}

// byAnybody is what somebody tries who has no right in the cluster.
func (a *abuse) byAnybody(user string) []try {
	rows := []try{
		{"reads the ledger", listing(entryKind + a.own), refused("list", "imageverifications.revet.dev", a.own)},
		{"reads all ledgers", listing(entryKind + "-"), refused("list", "imageverifications.revet.dev", "")},
		{"declares a trigger", creating("{apiVersion: revet.dev/v1alpha1, kind: ImageTrigger, metadata: {name: mine, namespace: " + a.own + "}, spec: {images: [{imageStreams: {}}], sink: {ref: {name: x}}}}"), refused("create", "imagetriggers.revet.dev", a.own)},
		{"reads gates", listing("revet.dev/v1alpha1 ImageGate -"), refused("list", "imagegates.revet.dev", "")},
		{"reads what gates admit", listing("revet.dev/v1alpha1 VerifiedImages " + systemNamespace), refused("list", "verifiedimages.revet.dev", systemNamespace)},
		{"reads the policy", reading("v1 ConfigMap " + a.own + " revet-scan-policy"), refused("get", "configmaps", a.own)},
		{"reads credentials", reading("v1 Secret " + a.own + " registry"), refused("get", "secrets", a.own)},
		{"makes a run", creating("{apiVersion: tekton.dev/v1, kind: PipelineRun, metadata: {name: run-3, namespace: " + a.own + ", labels: {revet.dev/run: run-3}}, spec: {pipelineRef: {name: p}}}"), refused("create", "pipelineruns.tekton.dev", a.own)},
		{"reads ImageStreams", listing("image.openshift.io/v1 ImageStream " + a.own), refused("list", "imagestreams.image.openshift.io", a.own)},
	}
	for i := range rows {
		rows[i].want = fmt.Sprintf("User %q ", user) + rows[i].want
	}
	return rows
}

// Property: a trigger of somebody's own has nothing sent elsewhere, and shows nothing of others:
// each is refused by a condition that says why.
func TestATriggerReachesNothingOfAnothers(t *testing.T) {
	ownCluster(t)
	a := &abuse{t: t, own: newNamespace(t), other: newNamespace(t)}
	aggregate(t)
	editor := person(t, a.own, "editor", "edit")
	mayGet(t, a.own)
	service := "{apiVersion: v1, kind: Service, metadata: {name: %s, namespace: " + a.own + "}, spec: %s}"
	eventually(t, "the editor makes Services", func() error {
		return creating(fmt.Sprintf(service, "outside", "{type: ExternalName, externalName: evil.example.com}"))(editor)
	})
	if err := creating(fmt.Sprintf(service, "bare", "{ports: [{port: 80}]}"))(editor); err != nil {
		t.Fatal(err)
	}
	pass := triggerReconciler(t, a.own)
	for _, row := range []struct {
		tried, spec, reason, message string
		// hidden is that the trigger selects what its account may not read.
		hidden bool
	}{
		{"a Service of type ExternalName", "{images: [{imageStreams: {}}], sink: {ref: {apiVersion: v1, kind: Service, name: outside}}}", "SinkHostNotAllowed", "is of type ExternalName, so that DNS decides", false},
		{"a Service without a selector", "{images: [{imageStreams: {}}], sink: {ref: {apiVersion: v1, kind: Service, name: bare}}}", "SinkHostNotAllowed", "selects no Pods, so that its endpoints decide", false},
		{"an address of its own", "{images: [{imageStreams: {}}], sink: {uri: 'http://evil.example.com/'}}", "SinkHostNotAllowed", `host "evil.example.com" of spec.sink.uri is not listed for namespace`, false},
		{"the API server", "{images: [{imageStreams: {}}], sink: {uri: 'https://kubernetes.default.svc/'}}", "SinkHostNotAllowed", `host "kubernetes.default.svc"`, false},
		{"an address in a status that it writes", "{images: [{imageStreams: {}}], sink: {ref: {apiVersion: tekton.dev/v1, kind: Task, name: mine}}}", "SinkInvalid", "and sinks are of the kinds", false},
		{"another's listener", "{images: [{imageStreams: {}}], sink: {ref: {name: scan-and-validate." + a.other + "}}}", "SinkNotFound", fmt.Sprintf("in namespace %q", a.own), false},
		{"another's ImageStreams", "{images: [{imageStreams: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: " + a.other + "}}}}], sink: {ref: {name: scan}}}", "SinkNotFound", "", true},
	} {
		t.Run(row.tried, func(t *testing.T) {
			if err := editor.Create(t.Context(), triggerOf(t, a.own, "vet", row.spec)); err != nil {
				t.Fatal(err)
			}
			expect(t, pass, metav1.ConditionFalse, row.reason, row.message)
			if row.hidden {
				c := meta.FindStatusCondition(pass().Status.Conditions, v1alpha1.ConditionAuthorized)
				if c == nil || c.Status != metav1.ConditionFalse {
					t.Errorf("Authorized is %+v", c)
				}
			}
			if err := deleting(triggerKind + a.own + " vet")(editor); err != nil {
				t.Fatal(err)
			}
		})
	}
}

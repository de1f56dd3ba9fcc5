package imagegate

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/gate"
)

// Lease allows writes while this process leads a gate.
type Lease interface {
	// Hold begins a use; the context ends before the lease can, and release ends the use.
	Hold(ctx context.Context, key types.NamespacedName) (held context.Context, release func(), ok bool)
}

// Compiler makes the admission policies and bindings of a gate. Policies come before what
// binds them.
type Compiler func(*v1alpha1.ImageGate, gate.Surroundings) (gate.Objects, error)

// Running tells what runs behind gates.
type Running interface {
	// Report returns what was seen last.
	Report(g *v1alpha1.ImageGate) RunningReport
	// Concluded tells what the gate concludes about a digest, as 64 hexadecimal digits.
	Concluded(gate, hex string, f gate.Finding)
	// Recall tells what an object of the gate says that this process did not write.
	Recall(g *v1alpha1.ImageGate, written *v1alpha1.VerifiedImages)
	// Guard returns the workloads whose break-glass label does not count, by UID, given what
	// the gate's objects say: nil if there are none.
	Guard(g *v1alpha1.ImageGate, written map[string]string) map[string]string
}

// RunningReport is what runs behind one gate.
type RunningReport struct {
	// Generation of the gate's spec by which it was judged.
	Generation int64
	// Running is as of the last complete list of Pods.
	Running    v1alpha1.RunningStatus
	BreakGlass v1alpha1.BreakGlassStatus
	// Refused is the number of workloads that mode Deny would keep from starting Pods again.
	Refused int
	// Problem is why Pods could not be listed since; empty if they could.
	Problem string
	// TemplatesListed says in which namespaces templates were listed; empty if in none.
	TemplatesListed string
	// Seen maps digests, as 64 hexadecimal digits, to when they were last seen running.
	Seen map[string]time.Time
}

// Exclusion lists the namespaces that no gate gates, by name or as prefix-*.
type Exclusion func() []string

// Options are what a Reconciler works with.
type Options struct {
	// Entries lists the ledger from a cache, without copies.
	Entries client.Reader
	// Cached reads gates, and metadata of what they own and of namespaces, from a cache.
	Cached client.Reader
	// Live writes, and reads what has to be exact. It writes statuses under the lease.
	Live  client.Client
	Lease Lease
	// Running may be nil: then a gate goes to Deny by force only.
	Running Running
	Compile Compiler
	// Exclude are the operator's patterns.
	Exclude Exclusion
	// Controllers are the users as which workload controllers make Pods; nil for those of
	// Kubernetes.
	Controllers func() []string
	// Mutating is the version in which the cluster serves MutatingAdmissionPolicies, or "".
	Mutating func() string
	// NotFound is called when the API server knows nothing of what was written, so that the
	// version in which it serves a kind may be another one. It may be nil.
	NotFound func()

	Enqueue      func(gate string)
	EnqueueAfter func(gate string, after time.Duration)
	Recorder     record.EventRecorder
	Log          *zap.Logger
	Now          func() time.Time

	// SystemNamespace is where VerifiedImages are, and ProbeNamespace where Pods are made
	// in dry-run only.
	SystemNamespace string
	ProbeNamespace  string
	// Rate is how many bytes a second are written on average over Window.
	Rate   int64
	Window time.Duration
	Limits gate.Limits
}

func (o Options) validate() error {
	switch {
	case o.Entries == nil, o.Cached == nil, o.Live == nil, o.Lease == nil, o.Compile == nil, o.Exclude == nil,
		o.Controllers == nil, o.Mutating == nil:
		return errors.New("the reconciler of gates lacks a reader, a client, a lease, a compiler or a configuration")
	case o.Enqueue == nil, o.EnqueueAfter == nil, o.Recorder == nil, o.Log == nil, o.Now == nil:
		return errors.New("the reconciler of gates lacks a queue, a recorder, a log or a clock")
	case o.SystemNamespace == "", o.ProbeNamespace == "":
		return errors.New("the reconciler of gates lacks a namespace")
	case o.Rate < 1, o.Window <= 0:
		return errors.New("the budget of gates is not positive")
	case o.Limits.Split < 1, o.Limits.Join >= o.Limits.Split, o.Limits.Object < o.Limits.Split:
		return errors.New("the limits of gates contradict one another: Join < Split <= Object")
	default:
		return nil
	}
}

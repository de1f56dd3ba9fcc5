package doctor

import (
	"context"
	"fmt"
	"slices"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// ledgerPolicy is the name of the policy that protects the ledger, and of its binding.
const ledgerPolicy = "revet-ledger"

// policy checks that nobody but Revet can write the ledger.
func (d *doctor) policy(ctx context.Context) Finding {
	const check = "ledger policy"
	cure := "kubectl apply -f config/400-ledger-policy.yaml"
	var policy admissionv1.ValidatingAdmissionPolicy
	var binding admissionv1.ValidatingAdmissionPolicyBinding
	for _, o := range []struct {
		kind   string
		object client.Object
	}{{"ValidatingAdmissionPolicy", &policy}, {"ValidatingAdmissionPolicyBinding", &binding}} {
		err := d.Get(ctx, client.ObjectKey{Name: ledgerPolicy}, o.object)
		switch {
		case meta.IsNoMatchError(err):
			return problem(check, "use Kubernetes 1.30 or later", "the cluster has no %s, so everybody who may update an ImageVerification can forge a verdict", o.kind)
		case apierrors.IsNotFound(err):
			return problem(check, cure, "there is no %s %q, so everybody who may update an ImageVerification can forge a verdict", o.kind, ledgerPolicy)
		case err != nil:
			return notRead(check, fmt.Sprintf("%s %q", o.kind, ledgerPolicy), err)
		}
	}
	switch {
	case policy.Spec.FailurePolicy != nil && *policy.Spec.FailurePolicy != admissionv1.Fail:
		return problem(check, cure, "the policy %q allows every write when it fails", ledgerPolicy)
	case binding.Spec.PolicyName != ledgerPolicy || !slices.Contains(binding.Spec.ValidationActions, admissionv1.Deny):
		return problem(check, cure, "the binding %q does not deny what the policy refuses", ledgerPolicy)
	case binding.Spec.MatchResources != nil:
		return warn(check, cure, "the binding %q covers only some namespaces: in the others nothing protects the ledger", ledgerPolicy)
	default:
		return ok(check, "only Revet's accounts write the ledger")
	}
}

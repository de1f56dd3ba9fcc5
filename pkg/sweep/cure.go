package sweep

import (
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/revet-dev/revet/pkg/source"
)

// cure says what to do about a trouble.
func (t *tally) cure(met trouble) string {
	switch met.kind {
	case NotRecordable:
		return "" // the ledger's error says it
	case TooManyTags:
		return TooManyTagsCure(t.account.Namespace)
	case StreamsNotVisible:
		return t.account.GrantImageStreams(t.hiddenNamespaces()[0])
	case NoImageStreams:
		return "select repositories of a registry with spec.images[].repository"
	case DigestUnsupported:
		return "push images with sha256 digests, or exclude the tag in spec.images"
	case RegistryPutOff:
		return "wait: Revet sweeps the registry again when it may"
	case SweepPutOff:
		return "wait: Revet sweeps it again when the message says; to take less time, select fewer " +
			"repositories, or remove triggers whose registries are slow"
	case SweepsOff:
		return "ask the operator to switch sweeps of registries on"
	case CatalogueIncomplete:
		return "name each repository in spec.images without wildcards, or give the account rights to the whole catalogue"
	case RepositoryGone:
		return "if the repository was deleted, remove it from spec.images; else " + t.pullSecret()
	case ItemNotReadable:
		return "push the image again, or exclude the tag in spec.images"
	case SelectorInvalid, string(source.InvalidRepository):
		return "correct spec.images"
	case string(source.Denied):
		return t.pullSecret()
	case string(source.NotAllowed), string(source.NotListed):
		return "ask the operator to list the registry in the ConfigMap config-registries, and to let you read it"
	case string(source.Untrusted):
		return "ask the operator to add the registry's certificate authority to those that Revet trusts"
	case string(source.NotFound), string(source.Unreadable):
		return "name each repository in spec.images without wildcards, if the registry has no list of them; else repair the registry"
	case ReadFailed:
		if apierrors.IsForbidden(met.err) {
			return "grant the right that the message names to the account that reads"
		}
	}
	return "wait: Revet reads it again with the next sweep"
}

// TooManyTagsCure says what to do about a digest with more tags than its entry tells of.
func TooManyTagsCure(namespace string) string {
	return fmt.Sprintf("delete tags that nobody needs, then have the rest recorded anew: kubectl delete imageverification ENTRY -n %s; "+
		"the digest is verified again", namespace)
}

func (t *tally) pullSecret() string {
	return fmt.Sprintf("give service account %[2]q a pull secret for the registry: kubectl create secret docker-registry NAME -n %[1]s "+
		"--docker-server=HOST --docker-username=USER --docker-password=PASSWORD, and list it in the account's imagePullSecrets", t.account.Namespace, t.account.Name)
}

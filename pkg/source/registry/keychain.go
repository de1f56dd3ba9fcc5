package registry

import (
	"context"
	"fmt"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/authn/kubernetes"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/source"
)

// keychain returns the pull credentials of a service account. An account or a secret
// that does not exist, or that the operator did not let Revet read, adds none: the
// registry then decides on an anonymous read.
func keychain(ctx context.Context, c client.Reader, account source.Account) (authn.Keychain, error) {
	var sa corev1.ServiceAccount
	if ok, err := get(ctx, c, account.Namespace, account.Name, &sa); !ok {
		return authn.NewMultiKeychain(), err
	}
	var secrets []corev1.Secret
	for _, ref := range sa.ImagePullSecrets {
		var secret corev1.Secret
		ok, err := get(ctx, c, account.Namespace, ref.Name, &secret)
		if err != nil {
			return nil, err
		}
		if ok {
			secrets = append(secrets, secret)
		}
	}
	keychain, err := kubernetes.NewFromPullSecrets(ctx, secrets)
	if err != nil {
		return nil, &source.Refusal{Reason: source.Denied, Err: fmt.Errorf("reading the pull secrets of service account %q in namespace %q: %w", account.Name, account.Namespace, err)}
	}
	return keychain, nil
}

func get(ctx context.Context, c client.Reader, namespace, name string, into client.Object) (bool, error) {
	err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, into)
	switch {
	case err == nil:
		return true, nil
	case apierrors.IsNotFound(err), apierrors.IsForbidden(err):
		return false, nil
	default:
		return false, fmt.Errorf("reading the pull credentials %q in namespace %q: %w", name, namespace, err)
	}
}

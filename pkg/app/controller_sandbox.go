package app

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/sandbox"
)

// The Secret that holds the key of the sandboxes' weights. config/ creates it empty, so that
// controllers need no right to create Secrets.
const (
	sandboxKeySecret = "revet-sandbox-key" //nolint:gosec // the name of a Secret
	sandboxKeyField  = "key"
)

// sandboxKey reads the key by which weights choose digests, once, and makes it if the
// Secret is empty.
type sandboxKey struct {
	live      client.Client
	namespace string
	log       *zap.Logger

	mu  sync.Mutex
	key []byte
}

// read returns the key. If several controllers make one at once, the API server accepts
// one write, and the others read its key.
func (k *sandboxKey) read(ctx context.Context) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.key != nil {
		return k.key, nil
	}
	var secret corev1.Secret
	err := k.live.Get(ctx, client.ObjectKey{Namespace: k.namespace, Name: sandboxKeySecret}, &secret)
	if apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("there is no Secret %q in namespace %q, whose key chooses which digests get the RuntimeClass; kubectl apply the one in config/, or restore it from a backup to keep the choice",
			sandboxKeySecret, k.namespace)
	}
	if err != nil {
		return nil, fmt.Errorf("reading Secret %q of namespace %q: %w", sandboxKeySecret, k.namespace, err)
	}
	key := secret.Data[sandboxKeyField]
	switch {
	case len(key) >= sandbox.MinKey:
	case len(key) > 0:
		return nil, fmt.Errorf("key %q of Secret %q in namespace %q has %d bytes; it needs %d. Remove it, and the controller makes one",
			sandboxKeyField, sandboxKeySecret, k.namespace, len(key), sandbox.MinKey)
	default:
		key = make([]byte, sandbox.MinKey)
		if _, err := rand.Read(key); err != nil {
			return nil, fmt.Errorf("making a key: %w", err)
		}
		secret.Data = map[string][]byte{sandboxKeyField: key}
		if err := k.live.Update(ctx, &secret); err != nil {
			return nil, fmt.Errorf("writing Secret %q of namespace %q: %w", sandboxKeySecret, k.namespace, err)
		}
		// If there was a key before, weights now choose other digests.
		k.log.Warn("made a new key for the weights of sandboxes; other digests get the RuntimeClass than with an earlier key", zap.String("secret", sandboxKeySecret))
	}
	k.key = key
	return key, nil
}

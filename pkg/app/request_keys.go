package app

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/runrequest"
)

const (
	// requestKeysTrust is for how long the keys of requests are believed. A key that was
	// removed counts for that much longer.
	requestKeysTrust = 30 * time.Second
	// requestKeysPause is how often they are read for a name that is not known: whoever
	// reaches the interceptor may make one up.
	requestKeysPause = time.Second
	// requestKeysTimeout bounds one reading: an EventListener waits.
	requestKeysTimeout = 2 * time.Second
	// keyName names a key that is made after its time: the last name signs, and a name that is
	// used again would be taken for the key that had it.
	keyName = "2006-01-02T15-04-05"
)

// requestKeys reads the keys by which Revet's requests for runs are signed and checked. It is
// safe for concurrent use.
type requestKeys struct {
	live      client.Client
	namespace string
	log       *zap.Logger
	now       func() time.Time
	// make has a key made if the Secret has none. config/ creates it empty, so that controllers
	// need no right to create Secrets.
	make bool

	mu   sync.Mutex
	keys runrequest.Keys
	read time.Time // when the Secret was asked for, with success or not
	err  error     // why that failed, if it did
}

// newest returns keys to sign with.
func (k *requestKeys) newest(ctx context.Context) (runrequest.Keys, error) {
	return k.get(ctx, func(keys runrequest.Keys) bool { return !keys.Empty() })
}

// sign returns the signature of a body that a trigger of the namespace sends.
func (k *requestKeys) sign(ctx context.Context, namespace string, body []byte) (string, error) {
	keys, err := k.newest(ctx)
	if err != nil {
		return "", err
	}
	return keys.Sign(k.now(), namespace, body)
}

// named returns keys that are as new as it takes to know a name. Whoever asks checks that they do.
func (k *requestKeys) named(ctx context.Context, name string) (runrequest.Keys, error) {
	return k.get(ctx, func(keys runrequest.Keys) bool { return keys.Has(name) })
}

// get reads the Secret again if what is known is old or does not suffice. Concurrent callers
// share a reading.
func (k *requestKeys) get(ctx context.Context, suffices func(runrequest.Keys) bool) (runrequest.Keys, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	trust := requestKeysTrust
	if k.err != nil || !suffices(k.keys) {
		trust = requestKeysPause
	}
	if now := k.now(); k.read.IsZero() || now.Sub(k.read) >= trust {
		// All share the reading, so it must not end with the first one.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestKeysTimeout)
		defer cancel()
		keys, err := k.load(ctx)
		if err == nil {
			k.keys = keys
		} else if k.err == nil {
			k.log.Warn("the keys of requests for runs cannot be read; those that were read before stay in force", zap.Error(err))
		}
		k.read, k.err = now, err
	}
	if k.err != nil && !suffices(k.keys) {
		return runrequest.Keys{}, k.err
	}
	return k.keys, nil
}

// load reads the Secret. If several controllers make a key at once, the API server accepts one
// write, and the others read its key afterwards.
func (k *requestKeys) load(ctx context.Context) (runrequest.Keys, error) {
	var secret corev1.Secret
	err := k.live.Get(ctx, client.ObjectKey{Namespace: k.namespace, Name: runrequest.Secret}, &secret)
	if apierrors.IsNotFound(err) {
		return runrequest.Keys{}, fmt.Errorf("there is no Secret %q in namespace %q, by whose key Revet signs requests for runs; kubectl apply the one in config/", runrequest.Secret, k.namespace)
	}
	if err != nil {
		return runrequest.Keys{}, fmt.Errorf("reading Secret %q of namespace %q: %w", runrequest.Secret, k.namespace, err)
	}
	keys, err := runrequest.ParseKeys(secret.Data)
	if err != nil {
		return runrequest.Keys{}, fmt.Errorf("reading the keys in Secret %q of namespace %q: %w; remove that key, and a controller makes one if none is left", runrequest.Secret, k.namespace, err)
	}
	if !keys.Empty() || !k.make {
		return keys, nil
	}
	key := make([]byte, runrequest.MinKey)
	if _, err := rand.Read(key); err != nil {
		return runrequest.Keys{}, fmt.Errorf("making a key: %w", err)
	}
	secret.Data = map[string][]byte{k.now().UTC().Format(keyName): key}
	if err := k.live.Update(ctx, &secret); err != nil {
		return runrequest.Keys{}, fmt.Errorf("writing Secret %q of namespace %q: %w", runrequest.Secret, k.namespace, err)
	}
	k.log.Info("made a key for requests for runs", zap.String("secret", runrequest.Secret))
	return runrequest.ParseKeys(secret.Data)
}

package app

import (
	"bytes"
	"strings"
	"sync"
	"testing"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/revet-dev/revet/pkg/sandbox"
)

func keyOf(c client.Client) *sandboxKey {
	return &sandboxKey{live: c, namespace: "revet-system", log: zap.NewNop()}
}

func secretOf(data map[string][]byte) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "revet-system", Name: sandboxKeySecret}, Data: data}
}

// Any number of controllers that start at once end with one key, and it stays.
func TestControllersShareOneSandboxKey(t *testing.T) {
	c := fake.NewClientBuilder().WithObjects(secretOf(nil)).Build()
	keys := make([][]byte, 8)
	var all sync.WaitGroup
	for i := range keys {
		all.Go(func() {
			k := keyOf(c)
			for keys[i] == nil { // a conflict is tried again, as the reconciler does
				keys[i], _ = k.read(t.Context())
			}
		})
	}
	all.Wait()
	for _, k := range keys {
		if len(k) < sandbox.MinKey || !bytes.Equal(k, keys[0]) {
			t.Fatalf("keys differ: %x and %x", keys[0], k)
		}
	}
	later, err := keyOf(c).read(t.Context())
	if err != nil || !bytes.Equal(later, keys[0]) {
		t.Errorf("a controller that starts later reads %x, %v", later, err)
	}
}

func TestSandboxKeyThatCannotBeUsed(t *testing.T) {
	for _, test := range []struct {
		name    string
		objects []client.Object
		want    string
	}{
		{"there is no Secret", nil, "kubectl apply the one in config/"},
		{"it is too short", []client.Object{secretOf(map[string][]byte{"key": []byte("short")})}, "has 5 bytes; it needs 32"},
	} {
		t.Run(test.name, func(t *testing.T) {
			key, err := keyOf(fake.NewClientBuilder().WithObjects(test.objects...).Build()).read(t.Context())
			if key != nil || err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("key %x, error %v; want %q", key, err, test.want)
			}
		})
	}
}

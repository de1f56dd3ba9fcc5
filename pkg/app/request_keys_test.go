package app

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/revet-dev/revet/pkg/runrequest"
)

func requestSecret(names ...string) *corev1.Secret {
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "revet-system", Name: runrequest.Secret}, Data: map[string][]byte{}}
	for _, name := range names {
		s.Data[name] = bytes.Repeat([]byte(name[len(name)-1:]), runrequest.MinKey)
	}
	return s
}

// keyring is a Secret, and both sides' view of it.
type keyring struct {
	client.Client
	t     *testing.T
	now   time.Time
	gets  int
	fails error

	controller, receiver *requestKeys
}

func newKeyring(t *testing.T, objects ...client.Object) *keyring {
	t.Helper()
	k := &keyring{t: t, now: noon}
	k.Client = interceptor.NewClient(fake.NewClientBuilder().WithObjects(objects...).Build(), interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			k.gets++
			if k.fails != nil {
				return k.fails
			}
			return c.Get(ctx, key, o, opts...)
		},
	})
	view := func(make bool) *requestKeys {
		return &requestKeys{live: k.Client, namespace: "revet-system", log: zap.NewNop(), now: func() time.Time { return k.now }, make: make}
	}
	k.controller, k.receiver = view(true), view(false)
	return k
}

// sent returns nil if the receiver takes what the controller signs now.
func (k *keyring) sent() error {
	k.t.Helper()
	body := []byte("{}")
	value, err := k.controller.sign(k.t.Context(), "team-a", body)
	if err != nil {
		return err
	}
	s, err := runrequest.ParseSignature([]string{value})
	if err != nil {
		return err
	}
	keys, err := k.receiver.named(k.t.Context(), s.Key)
	if err != nil {
		return err
	}
	return keys.Verify(s, k.now, "team-a", body)
}

func (k *keyring) set(names ...string) {
	k.t.Helper()
	var s corev1.Secret
	if err := k.Get(k.t.Context(), client.ObjectKeyFromObject(requestSecret()), &s); err != nil {
		k.t.Fatal(err)
	}
	s.Data = requestSecret(names...).Data
	if err := k.Update(k.t.Context(), &s); err != nil {
		k.t.Fatal(err)
	}
}

// Property: keys are added and taken away while requests go on, and each request counts.
func TestRequestKeysRotateWithoutLoss(t *testing.T) {
	k := newKeyring(t, requestSecret())
	check := func(what string) {
		t.Helper()
		for range 40 {
			k.now = k.now.Add(time.Second)
			if err := k.sent(); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
		}
	}
	check("by the key that the controller makes")
	first, err := k.controller.newest(t.Context())
	if err != nil || first.Newest() != "2026-11-27T12-00-01" && first.Newest() != noon.Add(time.Second).UTC().Format(keyName) {
		t.Fatalf("the key %q was made, %v", first.Newest(), err)
	}
	k.set("2027-01-01a", "2027-01-02b")
	k.now = k.now.Add(requestKeysTrust)
	check("by a later one")
	k.set("2027-01-02b")
	check("after the earlier one was removed")
	k.set()
	k.now = k.now.Add(requestKeysTrust)
	check("after all of them were")
}

// The Secret is read twice a minute, and once a second for names that somebody made up.
func TestRequestKeysAreReadSeldom(t *testing.T) {
	k := newKeyring(t, requestSecret("a"))
	for range 100 {
		if err := k.sent(); err != nil {
			t.Fatal(err)
		}
	}
	if k.gets != 2 {
		t.Errorf("%d readings, want one each", k.gets)
	}
	for range 100 {
		if keys, err := k.receiver.named(t.Context(), "made-up"); err != nil || keys.Has("made-up") {
			t.Fatalf("%v, %v", keys, err)
		}
	}
	if k.gets != 2 {
		t.Errorf("%d readings within a second, want none more", k.gets)
	}
	k.now = k.now.Add(requestKeysPause)
	_, _ = k.receiver.named(t.Context(), "made-up")
	_, _ = k.receiver.named(t.Context(), "made-up")
	if k.gets != 3 {
		t.Errorf("%d readings a second later, want one more", k.gets)
	}
}

// What was read stays in force while the API server is away, and an unknown name is not known then.
func TestRequestKeysOutlastTheAPIServer(t *testing.T) {
	k := newKeyring(t, requestSecret("a"))
	if err := k.sent(); err != nil {
		t.Fatal(err)
	}
	k.fails = errors.New("connection refused")
	k.now = k.now.Add(requestKeysTrust)
	if err := k.sent(); err != nil {
		t.Errorf("while the API server is away: %v", err)
	}
	if _, err := k.receiver.named(t.Context(), "b"); !errors.Is(err, k.fails) {
		t.Errorf("of an unknown name: %v, want that nobody can tell", err)
	}
	k.fails = nil
	k.set("b")
	k.now = k.now.Add(requestKeysPause)
	if keys, err := k.receiver.named(t.Context(), "b"); err != nil || keys.Has("a") {
		t.Errorf("afterwards: %v, %v", keys, err)
	}
}

func TestRequestKeysThatCannotBeUsed(t *testing.T) {
	short := requestSecret()
	short.Data["a"] = []byte("short")
	for _, test := range []struct {
		name    string
		objects []client.Object
		want    string
	}{
		{"there is no Secret", nil, "kubectl apply the one in config/"},
		{"one is too short", []client.Object{short}, `key "a" has 5 bytes`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := newKeyring(t, test.objects...).sent(); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
	// The receiver makes none, whoever asks it.
	k := newKeyring(t, requestSecret())
	if keys, err := k.receiver.named(t.Context(), "a"); err != nil || !keys.Empty() {
		t.Errorf("the receiver has %v, %v", keys, err)
	}
}

// Any number of controllers that start at once end with one key.
func TestControllersShareOneRequestKey(t *testing.T) {
	c := fake.NewClientBuilder().WithObjects(requestSecret()).Build()
	signed := make([]string, 8)
	var all sync.WaitGroup
	for i := range signed {
		all.Go(func() {
			now := noon
			k := &requestKeys{live: c, namespace: "revet-system", log: zap.NewNop(), now: func() time.Time { return now }, make: true}
			for signed[i] == "" { // a conflict is tried again, as the reconciler does
				if _, err := k.newest(t.Context()); err == nil {
					now = noon
					signed[i], _ = k.sign(t.Context(), "team-a", nil)
				}
				now = now.Add(requestKeysPause)
			}
		})
	}
	all.Wait()
	for _, s := range signed {
		if s != signed[0] {
			t.Fatalf("keys differ: %q and %q", signed[0], s)
		}
	}
}

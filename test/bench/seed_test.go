//go:build linux && bench

package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/uuid"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// storage is the etcd of the API server.
func (e *bed) storage(b *testing.B) *clientv3.Client {
	b.Helper()
	etcd, err := clientv3.New(clientv3.Config{Endpoints: []string{e.cluster.Etcd()}, DialTimeout: startPatience})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = etcd.Close() })
	return etcd
}

// stored returns the key and the value of what the API server has stored of an object.
func stored(b *testing.B, etcd *clientv3.Client, o client.Object) (key string, value []byte) {
	b.Helper()
	suffix := "/" + o.GetName()
	if namespace := o.GetNamespace(); namespace != "" {
		suffix = "/" + namespace + suffix
	}
	all, err := etcd.Get(b.Context(), "/", clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		b.Fatal(err)
	}
	for _, kv := range all.Kvs {
		if !strings.HasSuffix(string(kv.Key), suffix) {
			continue
		}
		one, err := etcd.Get(b.Context(), string(kv.Key))
		if err != nil || len(one.Kvs) != 1 {
			b.Fatalf("etcd has %d values of %q, %v", len(one.Kvs), kv.Key, err)
		}
		if strings.Contains(string(one.Kvs[0].Value), string(o.GetUID())) {
			return string(kv.Key), one.Kvs[0].Value
		}
	}
	b.Fatalf("etcd has no %T %s", o, suffix)
	return "", nil
}

// seed makes copies of an object that the API server has stored, as change alters each, by writing
// them into etcd as the API server would have: 100,000 objects take seconds instead of minutes. The
// API server learns of them from etcd. The copies number from 1, as the object itself is number 0.
func seed[P client.Object](b *testing.B, e *bed, like P, number int, change func(n int, o P) error) {
	b.Helper()
	etcd := e.storage(b)
	key, value := stored(b, etcd, like)
	decoded, ok := like.DeepCopyObject().(P)
	if !ok {
		b.Fatalf("a copy of a %T is none", like)
	}
	if err := json.Unmarshal(value, decoded); err != nil {
		b.Fatal(err)
	}
	prefix := strings.TrimSuffix(key, like.GetNamespace()+"/"+like.GetName())
	// One write each: a watch tells objects that were written together by one revision only.
	inParallel(b, number-1, func(ctx context.Context, n int) error {
		o, ok := decoded.DeepCopyObject().(P)
		if !ok {
			return fmt.Errorf("a copy of a %T is none", decoded)
		}
		o.SetUID(uuid.NewUUID())
		if err := change(n+1, o); err != nil {
			return err
		}
		value, err := json.Marshal(o)
		if err != nil {
			return err
		}
		_, err = etcd.Put(ctx, prefix+o.GetNamespace()+"/"+o.GetName(), string(value))
		return err
	})
	e.awaitFresh(b, etcd, like)
}

// awaitFresh waits until the API server knows all objects of a kind that etcd has, which it learns more
// slowly than seed writes.
func (e *bed) awaitFresh(b *testing.B, etcd *clientv3.Client, of client.Object) {
	b.Helper()
	kind, err := e.admin.GroupVersionKindFor(of)
	if err != nil {
		b.Fatal(err)
	}
	now, err := etcd.Get(b.Context(), "/none")
	if err != nil {
		b.Fatal(err)
	}
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(kind)
	eventually(b, restPatience, "the API server knows what etcd has", func() error {
		return e.admin.List(b.Context(), list, client.InNamespace(of.GetNamespace()), client.MatchingFields{"metadata.name": of.GetName()},
			&client.ListOptions{Raw: &metav1.ListOptions{
				ResourceVersion: strconv.FormatInt(now.Header.Revision, 10), ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan,
			}})
	})
}

package fair

import "sync"

// Kept is a bounded cache of values by namespace and key.
type Kept[K comparable, V any] struct {
	// most bounds what is kept, and each what is kept of one namespace.
	most, each int

	mu   sync.Mutex
	n    int
	byNS map[string]map[K]V
}

// NewKept returns a cache of at most so many values, and of at most each of one namespace.
func NewKept[K comparable, V any](most, each int) *Kept[K, V] {
	return &Kept[K, V]{most: most, each: each, byNS: map[string]map[K]V{}}
}

// Get returns what is kept.
func (k *Kept[K, V]) Get(namespace string, key K) (V, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	v, ok := k.byNS[namespace][key]
	return v, ok
}

// Put keeps a value. A namespace that has its part loses what it had; if there is no room at
// all, the namespace that has the most does.
func (k *Kept[K, V]) Put(namespace string, key K, v V) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, known := k.byNS[namespace][key]; !known {
		if len(k.byNS[namespace]) >= k.each {
			k.drop(namespace)
		}
		if k.n >= k.most {
			k.drop(k.largest())
		}
		k.n++
	}
	if k.byNS[namespace] == nil {
		k.byNS[namespace] = map[K]V{}
	}
	k.byNS[namespace][key] = v
}

// Delete forgets a value.
func (k *Kept[K, V]) Delete(namespace string, key K) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, known := k.byNS[namespace][key]; !known {
		return
	}
	k.n--
	if delete(k.byNS[namespace], key); len(k.byNS[namespace]) == 0 {
		delete(k.byNS, namespace)
	}
}

// Len returns how many values are kept.
func (k *Kept[K, V]) Len() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.n
}

func (k *Kept[K, V]) drop(namespace string) {
	k.n -= len(k.byNS[namespace])
	delete(k.byNS, namespace)
}

func (k *Kept[K, V]) largest() (largest string) {
	most := -1
	for namespace, values := range k.byNS {
		if len(values) > most {
			largest, most = namespace, len(values)
		}
	}
	return largest
}

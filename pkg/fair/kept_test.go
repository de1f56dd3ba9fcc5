package fair

import (
	"fmt"
	"testing"
)

// Property: a namespace that asks for much displaces its own values; another's stay.
func TestANamespaceDisplacesItsOwn(t *testing.T) {
	for _, test := range []struct {
		name       string
		most, each int
	}{
		{"beyond its part", 1000, 10},
		{"where there is no room at all", 10, 1000},
	} {
		t.Run(test.name, func(t *testing.T) {
			k := NewKept[int, string](test.most, test.each)
			k.Put("victim", 1, "kept")
			k.Put("victim", 2, "kept")
			for n := range 5000 {
				k.Put("hostile", n, "x")
				if k.Len() > 12 {
					t.Fatalf("%d values are kept", k.Len())
				}
			}
			for n := 1; n <= 2; n++ {
				if v, ok := k.Get("victim", n); !ok || v != "kept" {
					t.Errorf("another namespace's value %d is %q, %v", n, v, ok)
				}
			}
			if v, ok := k.Get("hostile", 4999); !ok || v != "x" {
				t.Errorf("the latest value is %q, %v", v, ok)
			}
		})
	}
}

// Many namespaces with one value each are bounded too, and what is deleted is not counted.
func TestKeptIsBounded(t *testing.T) {
	k := NewKept[string, int](10, 5)
	for n := range 100 {
		k.Put(fmt.Sprint("n", n), "a", n)
	}
	if k.Len() != 10 || len(k.byNS) != 10 {
		t.Errorf("%d values of %d namespaces, want 10 of 10", k.Len(), len(k.byNS))
	}
	k.Put("n99", "a", 7)
	if v, _ := k.Get("n99", "a"); v != 7 || k.Len() != 10 {
		t.Errorf("the value is %d of %d, want 7 of 10", v, k.Len())
	}
	k.Delete("n99", "a")
	k.Delete("n99", "a")
	k.Delete("nobody", "a")
	if _, ok := k.Get("n99", "a"); ok || k.Len() != 9 || len(k.byNS) != 9 {
		t.Errorf("%d values are kept after one was deleted", k.Len())
	}
}

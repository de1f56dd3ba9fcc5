package imageverification

import (
	"fmt"
	"testing"
)

// Property: a namespace with many filters has its own compiled again, and not another's.
func TestFiltersAreKeptByNamespace(t *testing.T) {
	f := newFilters()
	kept, err := f.get("victim", `"linux/amd64" in image.platforms`)
	if err != nil {
		t.Fatal(err)
	}
	for n := range maxFiltersEach + 1 {
		if _, err := f.get("hostile", fmt.Sprintf("%d == 1", n)); err != nil {
			t.Fatal(err)
		}
	}
	if again, _ := f.get("victim", `"linux/amd64" in image.platforms`); again != kept {
		t.Error("another namespace's filter was compiled again")
	}
	if got := f.compiled.Len(); got > maxFiltersEach+1 {
		t.Errorf("%d filters are kept", got)
	}
	if _, err := f.get("hostile", "no such thing"); err == nil {
		t.Error("nonsense compiles")
	}
}

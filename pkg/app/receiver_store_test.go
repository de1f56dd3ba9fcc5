package app

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/ledger"
)

func TestCompactChangesNothingThatTheIndexReads(t *testing.T) {
	store := ledger.NewIndex(time.Now).Store()
	want, err := store.Transformer()(watchedEntry(1))
	if err != nil {
		t.Fatal(err)
	}
	got, err := compactStore{store}.Transformer()(watchedEntry(1))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got, err := (compactStore{store}).Transformer()(42); err != nil || got != 42 {
		t.Errorf("another object became %v, %v", got, err)
	}
}

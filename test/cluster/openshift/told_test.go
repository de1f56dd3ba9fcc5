package openshift

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/revet-dev/revet/test/cluster/registry"
)

// A push that the comparison with the registry covers is acknowledged when that is
// done: before, its tag may move on in the registry without the stream ever having
// shown it.
func TestWhatTheComparisonCoversIsAcknowledgedAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		run, cancel := context.WithCancel(t.Context())
		open := make(chan struct{})
		close(open)
		e := &Emulation{options: Options{Now: time.Now, PushTimeout: time.Hour}, queues: newQueues(run, open, slog.New(slog.DiscardHandler))}
		key, told := streamKey{"team", "app"}, time.Now()
		compared := make(chan struct{})
		e.queues.add(key, newTask("compare with the registry", func(context.Context) error {
			e.synced.set(key, told.Add(time.Second))
			<-compared
			return nil
		}))
		acknowledged := make(chan error, 1)
		go func() {
			acknowledged <- e.told(t.Context(), registry.Push{Repository: key.String(), Tag: "v1", Digest: v1.Hash{Algorithm: "sha256", Hex: "00"}}, told)
		}()
		synctest.Wait()
		select {
		case err := <-acknowledged:
			t.Errorf("acknowledged before the comparison was done: %v", err)
		default:
		}
		close(compared)
		synctest.Wait()
		select {
		case err := <-acknowledged:
			if err != nil {
				t.Error(err)
			}
		default:
			t.Error("not acknowledged although the comparison is done")
		}
		cancel()
		e.queues.workers.Wait()
	})
}

package sweep

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/ledger"
	"github.com/revet-dev/revet/pkg/push"
)

// record writes one push, and reports whether the ledger covers it now. What the
// ledger has meanwhile was not recovered.
func (s *Sweeper) record(ctx context.Context, t *target, p push.Push, source v1alpha1.PushSource) bool {
	now := s.Now()
	result, err := s.Ledger.Record(ctx, t.trigger, p, source, now)
	if err != nil {
		if lasting(err) {
			t.tally.fail(NotRecordable, err, false)
		} else {
			t.tally.fail(RecordFailed, err, true)
		}
		return false
	}
	if result.Outcome == ledger.Unchanged {
		return true
	}
	s.Metrics.recorded(ctx, source, now.Sub(p.PushedAt))
	if source == v1alpha1.SourceExisting {
		return true
	}
	why := missed(p, circumstances{
		now: now, trigger: t.trigger.CreationTimestamp.Time, process: s.began, respecified: t.respecified,
	})
	t.tally.recorded()
	s.Metrics.recovered(ctx, why)
	s.Log.Info("push recovered",
		zap.String("push", p.Repository.Name+":"+p.Tag+"@"+p.Digest.String()+" "+p.PushedAt.UTC().Format(time.RFC3339)),
		zap.Stringer("digest", p.Digest), zap.String("reason", string(p.Reason)), zap.String("missed", string(why)),
		zap.String("source", string(source)), zap.String("entry", result.Entry.Name),
		zap.String("trigger", t.trigger.Name), zap.String("namespace", t.trigger.Namespace))
	return true
}

// lasting reports whether a record can never be written.
func lasting(err error) bool {
	return errors.Is(err, ledger.ErrForeign) || apierrors.IsInvalid(err) ||
		apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause)
}

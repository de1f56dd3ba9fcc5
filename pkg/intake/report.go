package intake

import (
	"cmp"
	"context"

	"go.uber.org/zap"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/push"
)

// maxReported bounds what is kept of what was reported, in entries of about 200 bytes.
const maxReported = 8192

// report identifies a skip or a failure, which is logged once.
type report struct {
	repository push.Repository
	trigger    string
	tag        string
	digest     image.Digest
	claimed    string
	reason     string
}

// reportSkips counts and logs each skipped item once. A hostile tag stays in its stream, so
// each event of the stream brings it again.
func (i *Intake) reportSkips(ctx context.Context, skips []push.Skip) {
	for _, s := range skips {
		if !i.reported.first(report{repository: s.Repository, tag: s.Tag, digest: s.Digest, claimed: s.Claimed, reason: string(s.Reason)}) {
			continue
		}
		i.Metrics.Skip(ctx, string(s.Reason))
		i.Log.Info("tag skipped", zap.String("reason", string(s.Reason)), zap.String("repository", s.Repository.Name),
			zap.String("tag", image.Cut(s.Tag, 128)), zap.String("digest", cmp.Or(s.Digest.String(), s.Claimed)))
	}
}

// reportTrigger counts each event that did not reach a trigger, and logs the reason once
// for a trigger and repository.
func (i *Intake) reportTrigger(ctx context.Context, t *Trigger, r push.Repository, reason, message string, err error) {
	i.Metrics.Skip(ctx, reason)
	if !i.reported.first(report{repository: r, trigger: string(t.UID), reason: reason}) {
		return
	}
	i.Log.Warn(message, zap.String("reason", reason), zap.String("repository", r.Name),
		zap.String("trigger", t.Name), zap.String("namespace", t.Namespace),
		zap.String("serviceAccount", t.account().Name), zap.Error(err))
}

package intake

import (
	"context"
	"fmt"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/push"
	"github.com/revet-dev/revet/pkg/source"
)

// weigh tells what is known of a push to an ImageStream. What its Image object shows
// to run is recorded without another request; what it does not may be exempt, but
// only by what the registry itself has under the digest. What cannot be read there is
// recorded: whoever runs it finds out.
func (i *Intake) weigh(ctx context.Context, reads *reads, t *Trigger, p push.Push) (seen, error) {
	img, err := reads.what(ctx, p.Digest)
	if err != nil || img.Runs {
		return seen{facts: img.Facts}, err
	}
	content, reason, err := i.recomputed(ctx, reads, t, p)
	if reason != "" {
		i.tellUnknown(t, p, reason, err)
		return seen{facts: img.Facts}, nil
	}
	return seen{exempt: i.exempt.Exempt(p.Digest, content), facts: img.Facts}, nil
}

// recomputed reads from the registry what a digest is, or says why it cannot. A
// registry that does not answer is not asked again for the same event, whose sender
// waits.
func (i *Intake) recomputed(ctx context.Context, reads *reads, t *Trigger, p push.Push) (content image.Content, reason string, err error) {
	if err := reads.isAway(p.Pull.Host()); err != nil {
		return image.Content{}, string(Unavailable), err
	}
	ctx, cancel := context.WithTimeout(ctx, i.RegistryTimeout)
	defer cancel()
	content, err = i.Registry.Content(ctx, p.Pull.At(p.Digest), t.account())
	switch refusal := source.ReasonOf(err); {
	case refusal != "":
		return image.Content{}, string(refusal), err
	case err != nil:
		reads.setAway(p.Pull.Host(), err)
		return image.Content{}, string(Unavailable), err
	default:
		return content, "", nil
	}
}

func (r *reads) isAway(host string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.away[host]; err != nil {
		return fmt.Errorf("it did not answer for another push of the same event: %w", err)
	}
	return nil
}

func (r *reads) setAway(host string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.away[host] = err
}

package command

import (
	"context"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// maxRequests is the most requests that an entry keeps.
const maxRequests = 10

// GrantReplay says how to get the right to ask for runs.
func GrantReplay(namespace string) string {
	return "an administrator of the namespace grants the right with: kubectl create rolebinding replay -n " + namespace +
		" --clusterrole=revet-replay --user=NAME"
}

// Request adds an ID to the entry's requests. It updates the version that it read, so it
// overwrites nothing that the controller or somebody else writes meanwhile.
func Request(ctx context.Context, c Cluster, key client.ObjectKey, id string) error {
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		var e v1alpha1.ImageVerification
		if err := c.Get(ctx, key, &e); err != nil {
			return err
		}
		requests, err := WithRequest(&e, id)
		if err != nil {
			return err
		}
		e.Spec.Requests = requests
		return c.Writer.Update(ctx, &e)
	})
	switch {
	case err == nil:
		return nil
	case apierrors.IsForbidden(err):
		return fmt.Errorf("requesting a run of %q: %w; %s", key.Name, err, GrantReplay(key.Namespace))
	default:
		return fmt.Errorf("requesting a run of %q: %w", key.Name, err)
	}
}

// WithRequest returns the entry's requests with one more at the end. It drops the oldest
// ones that have had their run.
func WithRequest(e *v1alpha1.ImageVerification, id string) ([]string, error) {
	requests := append(slices.Clone(e.Spec.Requests), id)
	for i := 0; len(requests) > maxRequests; {
		if i == len(requests)-1 {
			return nil, fmt.Errorf("%d requests for %q already wait for their run", maxRequests, e.Name)
		}
		if slices.Contains(e.Status.HandledRequests, requests[i]) {
			requests = slices.Delete(requests, i, i+1)
			continue
		}
		i++
	}
	return requests, nil
}

// RequestID names the user and the time. unique tells two requests of one second apart.
func RequestID(user string, now time.Time, unique string) string {
	return fmt.Sprintf("%s-%s-%s", user, now.UTC().Format("20060102T150405Z"), unique)
}

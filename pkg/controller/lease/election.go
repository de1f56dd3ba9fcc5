package lease

import (
	"context"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/leaderelection"
	kle "knative.dev/pkg/leaderelection"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// The times of leader election unless ConfigMap config-leader-election sets others.
// Another process leads at most LeaseDuration after one was killed.
const (
	defaultLeaseDuration = 15 * time.Second
	// RenewDeadline is exported for clients that must answer well within it.
	RenewDeadline      = 10 * time.Second
	defaultRetryPeriod = 2 * time.Second

	electionConfigMap = "config-leader-election"
)

// Election reads how leaders are elected from ConfigMap config-leader-election in
// Revet's namespace. What it does not set has a default.
func (l *Leases) Election(ctx context.Context, live client.Reader, namespace string) (*kle.Config, error) {
	data := map[string]string{
		"buckets":        "1",
		"lease-duration": defaultLeaseDuration.String(),
		"renew-deadline": RenewDeadline.String(),
		"retry-period":   defaultRetryPeriod.String(),
	}
	var configMap corev1.ConfigMap
	err := live.Get(ctx, client.ObjectKey{Namespace: namespace, Name: electionConfigMap}, &configMap)
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("reading ConfigMap %q: %w", electionConfigMap, err)
	}
	maps.Copy(data, configMap.Data)
	election, err := kle.NewConfigFromMap(data)
	if err != nil {
		return nil, fmt.Errorf("ConfigMap %q in namespace %q: %w", electionConfigMap, namespace, err)
	}
	if err := l.validate(election); err != nil {
		return nil, fmt.Errorf("ConfigMap %q in namespace %q: %w", electionConfigMap, namespace, err)
	}
	return election, nil
}

// validate refuses times under which no process could ever lead, or a leader would never
// have enough of its lease left for one use.
func (l *Leases) validate(e *kle.Config) error {
	// A lease is written in whole seconds, and renewed up to 1.2 retry periods late.
	renewed := time.Duration(leaderelection.JitterFactor * float64(e.RetryPeriod))
	least := margin + l.use + 2*renewed
	switch {
	case e.RetryPeriod <= 0:
		return fmt.Errorf("retry-period is %s; it must be positive", e.RetryPeriod)
	case e.RenewDeadline <= renewed:
		return fmt.Errorf("renew-deadline is %s; with a retry-period of %s it must be more than %s", e.RenewDeadline, e.RetryPeriod, renewed)
	case e.LeaseDuration <= e.RenewDeadline:
		return fmt.Errorf("lease-duration is %s; it must be more than renew-deadline, %s", e.LeaseDuration, e.RenewDeadline)
	case e.LeaseDuration.Truncate(time.Second) < least:
		return fmt.Errorf("lease-duration is %s; with a retry-period of %s it must be at least %s, or no request could be sent under the lease",
			e.LeaseDuration, e.RetryPeriod, least)
	default:
		return nil
	}
}

package app

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"k8s.io/client-go/rest"
)

// Common are the options that all programs have.
type Common struct {
	// MetricsAddress is host:port for Prometheus; empty serves no metrics.
	MetricsAddress string
	// SystemNamespace is Revet's own, which holds the operator's configuration.
	SystemNamespace string
	// Kubeconfig is a file; empty means the Pod's own account.
	Kubeconfig string
	// LogLevel is debug, info, warn or error.
	LogLevel string

	// Config is used instead of Kubeconfig, and Log instead of LogLevel, by
	// whoever embeds a program.
	Config *rest.Config
	Log    *zap.Logger
	// Now is the clock.
	Now func() time.Time
}

// DefaultCommon returns what is used unless it is said otherwise.
func DefaultCommon() Common {
	return Common{
		MetricsAddress:  ":9090",
		SystemNamespace: "revet-system",
		LogLevel:        "info",
		Now:             time.Now,
	}
}

var namespacePattern = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$`)

func (c Common) validate() error {
	if c.MetricsAddress != "" {
		if err := validAddress("metrics-address", c.MetricsAddress); err != nil {
			return err
		}
	}
	if !namespacePattern.MatchString(c.SystemNamespace) {
		return fmt.Errorf("system-namespace %q is not the name of a namespace", c.SystemNamespace)
	}
	if _, err := zapcore.ParseLevel(c.LogLevel); err != nil {
		return fmt.Errorf("log-level %q is none of debug, info, warn and error", c.LogLevel)
	}
	if c.Now == nil {
		return errors.New("the clock (Now) is nil")
	}
	return nil
}

func validAddress(field, address string) error {
	if _, _, err := net.SplitHostPort(address); err != nil {
		return fmt.Errorf("%s %q is not host:port, for example :8080: %w", field, address, err)
	}
	return nil
}

// ReceiverOptions are the receiver's.
type ReceiverOptions struct {
	Common
	// Address is host:port for events, health and readiness.
	Address string
	// DrainDelay is how long the receiver goes on serving after it was told to
	// stop: until then the Service may still send to it.
	DrainDelay time.Duration
}

// DefaultReceiverOptions returns what is used unless it is said otherwise.
func DefaultReceiverOptions() ReceiverOptions {
	return ReceiverOptions{Common: DefaultCommon(), Address: ":8080", DrainDelay: 3 * time.Second}
}

func (o ReceiverOptions) validate() error {
	if err := validAddress("address", o.Address); err != nil {
		return err
	}
	if o.DrainDelay < 0 || o.DrainDelay > shutdownTimeout {
		return fmt.Errorf("drain-delay %s is not between 0s and %s", o.DrainDelay, shutdownTimeout)
	}
	return o.Common.validate()
}

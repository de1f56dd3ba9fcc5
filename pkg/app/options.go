package app

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"regexp"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"k8s.io/client-go/rest"
)

// Common holds the options that all programs have.
type Common struct {
	// HealthAddress is host:port for health and readiness, on a port of their own.
	HealthAddress string
	// MetricsAddress is host:port for Prometheus; empty serves no metrics.
	MetricsAddress string
	// SystemNamespace is Revet's own, which holds the operator's configuration.
	SystemNamespace string
	// Kubeconfig is a file; empty means the Pod's own account.
	Kubeconfig string
	// LogLevel is debug, info, warn or error.
	LogLevel string

	// Config replaces Kubeconfig, and Log replaces LogLevel, in programs that embed
	// this one.
	Config *rest.Config
	Log    *zap.Logger
	// Now is the clock.
	Now func() time.Time
}

// DefaultCommon returns the defaults.
func DefaultCommon() Common {
	return Common{
		HealthAddress:   ":8081",
		MetricsAddress:  ":9090",
		SystemNamespace: "revet-system",
		LogLevel:        "info",
		Now:             time.Now,
	}
}

// namespaceVariables name Revet's namespace, the first that is set. SYSTEM_NAMESPACE is
// the one that the manifests of config/ set. POD_NAMESPACE was read besides, and
// manifests of one's own may still set it alone.
var namespaceVariables = []string{"SYSTEM_NAMESPACE", "POD_NAMESPACE"}

// FromEnvironment reads what Kubernetes puts into a Pod's environment.
func (c *Common) FromEnvironment(getenv func(string) string) {
	for _, name := range namespaceVariables {
		if value := getenv(name); value != "" {
			c.SystemNamespace = value
			return
		}
	}
}

// AddFlags adds the flags that all programs have.
func (c *Common) AddFlags(flags *flag.FlagSet) {
	flags.StringVar(&c.HealthAddress, "health-address", c.HealthAddress, "host:port for health and readiness")
	flags.StringVar(&c.MetricsAddress, "metrics-address", c.MetricsAddress, "host:port for Prometheus; empty serves no metrics")
	flags.StringVar(&c.SystemNamespace, "system-namespace", c.SystemNamespace, "Revet's own namespace; default from SYSTEM_NAMESPACE")
	flags.StringVar(&c.Kubeconfig, "kubeconfig", c.Kubeconfig, "file to reach the API server with; default is the Pod's account")
	flags.StringVar(&c.LogLevel, "log-level", c.LogLevel, "debug, info, warn or error")
}

var namespacePattern = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$`)

func (c Common) validate() error {
	if err := validAddress("health-address", c.HealthAddress); err != nil {
		return err
	}
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

// ReceiverOptions configure the receiver.
type ReceiverOptions struct {
	Common
	// Address is host:port for events.
	Address string
	// InterceptorAddress is host:port for the requests of EventListeners, which ask whether a
	// request for a run is Revet's; empty serves none.
	InterceptorAddress string
	// DrainDelay is how long the receiver keeps serving after SIGTERM, because the
	// Service may still send to it.
	DrainDelay time.Duration
	// OIDCAudience is the audience that the tokens of senders of events must have, as
	// Knative's OIDC support sends them. Empty takes events without a token.
	OIDCAudience string
}

// DefaultReceiverOptions returns the defaults.
func DefaultReceiverOptions() ReceiverOptions {
	return ReceiverOptions{Common: DefaultCommon(), Address: ":8080", InterceptorAddress: ":8082", DrainDelay: 3 * time.Second}
}

// AddFlags adds the receiver's flags.
func (o *ReceiverOptions) AddFlags(flags *flag.FlagSet) {
	o.Common.AddFlags(flags)
	flags.StringVar(&o.Address, "address", o.Address, "host:port for events")
	flags.StringVar(&o.InterceptorAddress, "interceptor-address", o.InterceptorAddress, "host:port for EventListeners, which ask whether a request for a run is Revet's; empty serves none")
	flags.DurationVar(&o.DrainDelay, "drain-delay", o.DrainDelay, "how long to keep serving after SIGTERM")
	flags.StringVar(&o.OIDCAudience, "oidc-audience", o.OIDCAudience, "audience of the tokens that senders of events must have; empty takes events without")
}

func (o ReceiverOptions) validate() error {
	if err := validAddress("address", o.Address); err != nil {
		return err
	}
	if o.InterceptorAddress != "" {
		if err := validAddress("interceptor-address", o.InterceptorAddress); err != nil {
			return err
		}
	}
	if o.DrainDelay < 0 || o.DrainDelay > shutdownTimeout {
		return fmt.Errorf("drain-delay %s is not between 0s and %s", o.DrainDelay, shutdownTimeout)
	}
	return o.Common.validate()
}

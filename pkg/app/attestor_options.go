package app

import (
	"flag"
	"fmt"
	"net/url"
	"time"

	"github.com/revet-dev/revet/pkg/attestation"
)

// AttestorOptions configure the attestor.
type AttestorOptions struct {
	Common
	// Identity is this process's name among those that may lead: the Pod's name.
	Identity string
	// Keys is the directory with the keys, a mounted Secret.
	Keys string
	// VerifierID is the URI by which consumers know the verifier.
	VerifierID string
	// Cluster names the cluster in what is signed; empty stands for the UID of the namespace
	// kube-system.
	Cluster string
	// Concurrency is how many entries are processed at once.
	Concurrency int
	// Recheck is between two looks at whether an attestation is still in its registry.
	Recheck time.Duration
}

// DefaultAttestorOptions returns the defaults.
func DefaultAttestorOptions() AttestorOptions {
	return AttestorOptions{
		Common: DefaultCommon(), Keys: "/etc/revet/attestation-keys",
		VerifierID: attestation.DefaultVerifierID, Concurrency: 8, Recheck: 6 * time.Hour,
	}
}

// FromEnvironment reads what Kubernetes puts into a Pod's environment.
func (o *AttestorOptions) FromEnvironment(getenv func(string) string) {
	o.Common.FromEnvironment(getenv)
	if name := getenv("POD_NAME"); name != "" {
		o.Identity = name
	}
}

// AddFlags adds the attestor's flags.
func (o *AttestorOptions) AddFlags(flags *flag.FlagSet) {
	o.Common.AddFlags(flags)
	flags.StringVar(&o.HealthAddress, "address", o.HealthAddress, "an earlier name of --health-address")
	flags.StringVar(&o.Identity, "identity", o.Identity, "name of this process among those that may lead; default from POD_NAME")
	flags.StringVar(&o.Keys, "keys", o.Keys, "directory with the keys: 2026-11-30.pem signs from that day on")
	flags.StringVar(&o.VerifierID, "verifier-id", o.VerifierID, "URI by which consumers know this verifier")
	flags.StringVar(&o.Cluster, "cluster", o.Cluster, "name of the cluster in what is signed; default is the UID of the namespace kube-system")
	flags.IntVar(&o.Concurrency, "concurrency", o.Concurrency, "how many entries are processed at once")
	flags.DurationVar(&o.Recheck, "recheck", o.Recheck, "time between two looks at whether an attestation is still in its registry; at least 1m")
}

func (o AttestorOptions) validate() error {
	if o.Identity == "" {
		return fmt.Errorf("identity is empty; set POD_NAME to the Pod's name, or --identity")
	}
	if o.Keys == "" {
		return fmt.Errorf("keys is empty; name the directory where the Secret is mounted")
	}
	if u, err := url.Parse(o.VerifierID); err != nil || !u.IsAbs() {
		return fmt.Errorf("verifier-id %q is not a URI, such as %s", o.VerifierID, attestation.DefaultVerifierID)
	}
	if o.Concurrency < 1 || o.Concurrency > 100 {
		return fmt.Errorf("concurrency %d is not between 1 and 100", o.Concurrency)
	}
	if o.Recheck < time.Minute {
		return fmt.Errorf("recheck %s is shorter than 1m", o.Recheck)
	}
	return o.Common.validate()
}

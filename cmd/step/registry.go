package main

import (
	"fmt"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/fetch"
)

// registryOptions are those of every step that speaks to a registry.
type registryOptions struct {
	reference  string
	registries string
	insecure   []string
	timeout    time.Duration
	stall      time.Duration
}

func (o *registryOptions) flags(f *pflag.FlagSet, timeout time.Duration) {
	f.StringVar(&o.reference, "reference", "", "what to check, as host/repository@sha256:...")
	o.connection(f, timeout)
}

// connection declares the flags of how registries are spoken to.
func (o *registryOptions) connection(f *pflag.FlagSet, timeout time.Duration) {
	f.StringVar(&o.registries, "registries", "", "directory with the files \"insecure\" and *.crt; it may be missing")
	f.StringSliceVar(&o.insecure, "insecure-registry", nil, "host[:port] that may be spoken to without TLS; may be repeated")
	f.DurationVar(&o.timeout, "timeout", timeout, "most time for everything")
	f.DurationVar(&o.stall, "stall-timeout", time.Minute, "most time that the registry may send nothing")
}

// open reads what the flags name.
func (o registryOptions) open() (image.Reference, fetch.Options, error) {
	options, err := o.connect()
	if err != nil {
		return image.Reference{}, fetch.Options{}, err
	}
	ref, err := image.ParseReference(o.reference)
	if err != nil {
		return image.Reference{}, fetch.Options{}, fmt.Errorf("--reference: %w", err)
	}
	return ref, options, nil
}

// connect reads how registries are spoken to.
func (o registryOptions) connect() (fetch.Options, error) {
	if o.timeout <= 0 || o.stall <= 0 {
		return fetch.Options{}, fmt.Errorf("--timeout and --stall-timeout must be positive")
	}
	trust, err := fetch.LoadTrust(o.registries, o.insecure)
	if err != nil {
		return fetch.Options{}, err
	}
	return fetch.Options{Trust: trust, Keychain: authn.DefaultKeychain, Stall: o.stall}, nil
}

// require makes flags of cmd required.
func require(cmd *cobra.Command, names ...string) *cobra.Command {
	for _, name := range names {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // a flag that is not declared
		}
	}
	return cmd
}

package main

import (
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/command"
	"github.com/revet-dev/revet/pkg/pipeline/fetch"
)

// registryOptions are those of every step that speaks to an image's registry.
type registryOptions struct {
	command.Connection
	reference string
}

func (o *registryOptions) flags(f *pflag.FlagSet, timeout time.Duration) {
	f.StringVar(&o.reference, "reference", "", "what to check, as host/repository@sha256:...")
	o.Flags(f, timeout)
}

// open reads what the flags name.
func (o *registryOptions) open() (image.Reference, fetch.Options, error) {
	options, err := o.Options()
	if err != nil {
		return image.Reference{}, fetch.Options{}, err
	}
	ref, err := image.ParseReference(o.reference)
	if err != nil {
		return image.Reference{}, fetch.Options{}, fmt.Errorf("--reference: %w", err)
	}
	return ref, options, nil
}

package stepcmd

import (
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/fetch"
)

// Registry holds the flags of a step that talks to the image's registry.
type Registry struct {
	Connection
	Reference string
}

func (o *Registry) flags(f *pflag.FlagSet, timeout time.Duration) {
	f.StringVar(&o.Reference, "reference", "", "image to check, as host/repository@sha256:...")
	o.Flags(f, timeout)
}

// open returns the reference and the options that the flags name.
func (o *Registry) open() (image.Reference, fetch.Options, error) {
	options, err := o.Options()
	if err != nil {
		return image.Reference{}, fetch.Options{}, err
	}
	ref, err := image.ParseReference(o.Reference)
	if err != nil {
		return image.Reference{}, fetch.Options{}, fmt.Errorf("--reference: %w", err)
	}
	return ref, options, nil
}

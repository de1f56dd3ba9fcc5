//go:build !linux

package node

import (
	"context"
	"fmt"
	"runtime"
)

func unsupported() error {
	return fmt.Errorf("%w: it needs Linux, this is %s; %s", ErrUnsupported, runtime.GOOS, fastTier)
}

// Up returns ErrUnsupported.
func Up(context.Context, Options) (*Info, error) { return nil, unsupported() }

// Down returns ErrUnsupported.
func Down(context.Context, Options) error { return unsupported() }

// Status returns ErrUnsupported.
func Status(Options) (*Info, State, error) { return nil, Stopped, unsupported() }

// Role returns ErrUnsupported.
func Role([]string) error { return unsupported() }

package sandbox

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/selector"
)

// MinKey is the least length of a key, in bytes.
const MinKey = 32

// ErrNoKey means that a weight cannot be used, for want of the key.
var ErrNoKey = fmt.Errorf("the key of the sandbox's weight has less than %d bytes", MinKey)

// purpose keeps the hash apart from any other that somebody makes with the key.
const purpose = "revet.dev/sandbox-weight/v1\x00"

// Image is what a route depends on.
type Image struct {
	Digest image.Digest
	// Repository is namespace/name of an ImageStream, or host/path.
	Repository string
	Tags       []string
}

// Route is where a run is asked to execute. The zero value asks for nothing.
type Route struct {
	// RuntimeClassName is the class; empty for none.
	RuntimeClassName string
	// Around says why there is none though the trigger names one.
	Around v1alpha1.SandboxRoute
	// Message says that in words.
	Message string
}

// Weighted reports whether the trigger's weight takes digests out of its class, so
// that Decide needs the key.
func Weighted(s v1alpha1.Sandbox) bool {
	return s.RuntimeClassName != "" && s.Weight != nil && *s.Weight < 100
}

// Detours reports whether a run of the trigger may be asked to execute outside its class.
func Detours(s v1alpha1.Sandbox) bool {
	return s.RuntimeClassName != "" && (Weighted(s) || len(s.Exclude) > 0 || s.Fallback == v1alpha1.FallbackDefault)
}

// Decide returns where a run of an image executes. Missing says that the cluster
// has no RuntimeClass of that name; unable is why the run before this one could not
// start in it, or empty. An error is ErrNoKey, or says which exclusion cannot be
// read.
func Decide(s v1alpha1.Sandbox, key []byte, img Image, missing bool, unable string) (Route, error) {
	if s.RuntimeClassName == "" {
		return Route{}, nil
	}
	for i, e := range s.Exclude {
		names, err := selector.ParseNames(e.Images)
		if err != nil {
			return Route{}, fmt.Errorf("spec.sandbox.exclude[%d].images: %w", i, err)
		}
		if names.Match(img.Repository, img.Tags) {
			return Route{Around: v1alpha1.RouteExcluded, Message: fmt.Sprintf("spec.sandbox.exclude names %s: %s", e.Images, e.Reason)}, nil
		}
	}
	if Weighted(s) {
		inside, err := inside(key, img.Digest, *s.Weight)
		if err != nil {
			return Route{}, err
		}
		if !inside {
			return Route{Around: v1alpha1.RouteOutsideWeight, Message: fmt.Sprintf("spec.sandbox.weight gives the class to %d percent of digests, and this is none of them", *s.Weight)}, nil
		}
	}
	if missing && s.Fallback == v1alpha1.FallbackDefault {
		return Route{Around: v1alpha1.RouteFellBack, Message: fmt.Sprintf("the cluster has no RuntimeClass %q, and spec.sandbox.fallback is Default", s.RuntimeClassName)}, nil
	}
	if unable != "" && s.Fallback == v1alpha1.FallbackDefault {
		return Route{Around: v1alpha1.RouteFellBack, Message: "spec.sandbox.fallback is Default, and the run before could not start: " + unable}, nil
	}
	return Route{RuntimeClassName: s.RuntimeClassName}, nil
}

// Check reports what of a trigger's sandbox cannot be used, which its schema lets through.
func Check(s v1alpha1.Sandbox) error {
	var errs []error
	for i, e := range s.Exclude {
		if _, err := selector.ParseNames(e.Images); err != nil {
			errs = append(errs, fmt.Errorf("spec.sandbox.exclude[%d].images: %w", i, err))
		}
	}
	return errors.Join(errs...)
}

// inside reports whether a digest is among the percentage.
func inside(key []byte, digest image.Digest, percent int32) (bool, error) {
	if len(key) < MinKey {
		return false, ErrNoKey
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(purpose + digest.String())) // it never fails
	// The remainder of 64 bits by 10,000 favours none by more than a part in 10^15.
	return binary.BigEndian.Uint64(mac.Sum(nil))%10_000 < uint64(max(percent, 0))*100, nil
}

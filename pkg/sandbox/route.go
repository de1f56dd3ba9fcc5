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

// MinKey is the minimum length of a key, in bytes.
const MinKey = 32

// ErrNoKey means that the weight cannot be used because the key is missing or too short.
var ErrNoKey = fmt.Errorf("the key of the sandbox's weight has less than %d bytes", MinKey)

// purpose separates this hash from other hashes made with the same key.
const purpose = "revet.dev/sandbox-weight/v1\x00"

// Image holds what a route depends on.
type Image struct {
	Digest image.Digest
	// Repository is namespace/name of an ImageStream, or host/path.
	Repository string
	Tags       []string
}

// Route says where a run asks to execute. The zero value asks for nothing.
type Route struct {
	// RuntimeClassName is the class, or empty for none.
	RuntimeClassName string
	// Around says why there is no class although the trigger names one.
	Around v1alpha1.SandboxRoute
	// Message says the same in words.
	Message string
}

// Weighted reports whether the trigger's weight excludes some digests from its class, so that
// Decide needs the key.
func Weighted(s v1alpha1.Sandbox) bool {
	return s.RuntimeClassName != "" && s.Weight != nil && *s.Weight < 100
}

// Detours reports whether a run of the trigger may be asked to execute outside its class.
func Detours(s v1alpha1.Sandbox) bool {
	return s.RuntimeClassName != "" && (Weighted(s) || len(s.Exclude) > 0 || s.Fallback == v1alpha1.FallbackDefault)
}

// Decide returns where a run of an image executes. missing means that the cluster has no
// RuntimeClass of that name. unable is the reason why the previous run could not start in it, or
// empty. The error is ErrNoKey, or names the exclusion that cannot be parsed.
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

// Check returns an error if a trigger's sandbox has a value that the schema accepts but Revet
// cannot use.
func Check(s v1alpha1.Sandbox) error {
	var errs []error
	for i, e := range s.Exclude {
		if _, err := selector.ParseNames(e.Images); err != nil {
			errs = append(errs, fmt.Errorf("spec.sandbox.exclude[%d].images: %w", i, err))
		}
	}
	return errors.Join(errs...)
}

// inside reports whether a digest belongs to the percentage.
func inside(key []byte, digest image.Digest, percent int32) (bool, error) {
	if len(key) < MinKey {
		return false, ErrNoKey
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(purpose + digest.String())) // it never fails
	// The remainder of 64 bits divided by 10,000 is biased by less than one part in 10^15.
	return binary.BigEndian.Uint64(mac.Sum(nil))%10_000 < uint64(max(percent, 0))*100, nil
}

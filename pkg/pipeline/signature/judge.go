package signature

import (
	"errors"
	"fmt"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/result"
	"github.com/revet-dev/revet/pkg/pipeline/taskresult"
)

// CheckName is the name of this package's check.
const CheckName = "signature"

// Policy says which signatures an image needs. The zero value is not a policy, and is refused.
type Policy string

// The policies.
const (
	// Required fails an image that no trusted key signed.
	Required Policy = "Required"
	// Optional fails an image that has signatures, but none by a trusted key.
	Optional Policy = "Optional"
	// Off does not look.
	Off Policy = "Off"
)

// ParsePolicy reads a policy.
func ParsePolicy(s string) (Policy, error) {
	switch p := Policy(s); p {
	case Required, Optional, Off:
		return p, nil
	default:
		return "", fmt.Errorf("unknown signature policy %q; accepted are %s, %s and %s", s, Required, Optional, Off)
	}
}

// Looks reports whether to look for signatures. Required without a key is an error: no image could
// pass, so the setup must be wrong.
func (p Policy) Looks(keys []Key) (bool, error) {
	switch {
	case p == Required && len(keys) == 0:
		return false, errors.New("signatures are required, but there is no key; put cosign.pub into the ConfigMap or the Secret revet-signature-keys, under a name ending in .pub")
	case p == Required, p == Optional && len(keys) > 0:
		return true, nil
	case p == Optional, p == Off:
		return false, nil
	default:
		return false, fmt.Errorf("unknown signature policy %q", p)
	}
}

// NotLooked returns the result for an image if Looks returns false.
func NotLooked(digest image.Digest) taskresult.Result {
	return taskresult.Result{
		Digest: digest, Signature: taskresult.SignatureOff,
		Checks: []taskresult.Check{{Name: CheckName, Off: true}},
	}
}

// Judge returns the result for an image. Call it only if Looks returns true.
func Judge(p Policy, digest image.Digest, found Found) taskresult.Result {
	o := taskresult.Result{Digest: digest, Checks: []taskresult.Check{{Name: CheckName, Rules: 1}}}
	rule, message := "", ""
	switch {
	case len(found.By) > 0:
		o.Signature = taskresult.SignatureValid
		return o
	case len(found.Refused) > 0:
		o.Signature = taskresult.SignatureInvalid
		rule, message = "valid-signature", fmt.Sprintf("none of its %d signatures is valid; %s", len(found.Refused), found.Refused[0])
	default:
		o.Signature = taskresult.SignatureNone
		if p == Optional {
			return o
		}
		rule, message = "signed", "it has no signature; sign its digest with: cosign sign --key"
	}
	o.Errors = 1
	o.Findings = []taskresult.Finding{{Check: CheckName, Rule: rule, Severity: result.SeverityError,
		Message: result.Clip(result.Line(message), maxMessage)}}
	return o
}

const maxMessage = 200

package signature

import (
	"errors"
	"fmt"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/result"
	"github.com/revet-dev/revet/pkg/pipeline/taskresult"
)

// CheckName is the name that outcomes of this package go by.
const CheckName = "signature"

// Policy says what is asked of signatures. The zero value is none; it is refused.
type Policy string

// The policies.
const (
	// Required fails what no trusted key signed.
	Required Policy = "Required"
	// Optional fails what has signatures of which none is by a trusted key.
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
		return "", fmt.Errorf("signature policy %q is not known; accepted are %s, %s and %s", s, Required, Optional, Off)
	}
}

// Looks reports whether signatures are to be looked for. Required without a key
// could pass nothing, and is a mistake of whoever set it up.
func (p Policy) Looks(keys []Key) (bool, error) {
	switch {
	case p == Required && len(keys) == 0:
		return false, errors.New("signatures are required and there is no key; put cosign.pub into the ConfigMap or the Secret revet-signature-keys, under a name that ends in .pub")
	case p == Required, p == Optional && len(keys) > 0:
		return true, nil
	case p == Optional, p == Off:
		return false, nil
	default:
		return false, fmt.Errorf("signature policy %q is not known", p)
	}
}

// NotLooked is what comes of it when Looks says so.
func NotLooked(digest image.Digest) taskresult.Result {
	return taskresult.Result{
		Digest: digest, Signature: taskresult.SignatureOff,
		Checks: []taskresult.Check{{Name: CheckName, Off: true}},
	}
}

// Judge says what comes of what was found. It is asked only if Looks says so.
func Judge(p Policy, digest image.Digest, found Found) taskresult.Result {
	o := taskresult.Result{Digest: digest, Checks: []taskresult.Check{{Name: CheckName, Rules: 1}}}
	rule, message := "", ""
	switch {
	case len(found.By) > 0:
		o.Signature = taskresult.SignatureValid
		return o
	case len(found.Refused) > 0:
		o.Signature = taskresult.SignatureInvalid
		rule, message = "valid-signature", fmt.Sprintf("none of its %d signatures holds; %s", len(found.Refused), found.Refused[0])
	default:
		o.Signature = taskresult.SignatureNone
		if p == Optional {
			return o
		}
		rule, message = "signed", "nobody signed it; sign its digest by: cosign sign --key"
	}
	o.Errors = 1
	o.Findings = []taskresult.Finding{{Check: CheckName, Rule: rule, Severity: result.SeverityError,
		Message: result.Clip(result.Line(message), maxMessage)}}
	return o
}

const maxMessage = 200

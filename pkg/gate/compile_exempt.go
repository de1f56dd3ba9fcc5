package gate

import (
	"fmt"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// exemption is a compiled entry of spec.exempt.
type exemption struct {
	pattern Pattern
	// until is when it ends; zero for never.
	until time.Time
}

// exemptions compiles spec.exempt, without those that have ended.
func exemptions(all []v1alpha1.GateExemption, now time.Time) ([]exemption, error) {
	var out []exemption
	for i, e := range all {
		p, err := ParsePattern(e.Images)
		if err != nil {
			return nil, fmt.Errorf("spec.exempt[%d].images: %w", i, err)
		}
		x := exemption{pattern: p}
		if e.Expires != "" {
			last, err := time.Parse(time.DateOnly, e.Expires)
			if err != nil {
				return nil, fmt.Errorf("spec.exempt[%d].expires: %w", i, err)
			}
			x.until = last.AddDate(0, 0, 1)
		}
		if now.IsZero() || x.until.IsZero() || now.Before(x.until) {
			out = append(out, x)
		}
	}
	return out, nil
}

// Exemptions say which images a gate lets start without a verdict. The zero value exempts
// nothing.
type Exemptions struct{ all []exemption }

// ExemptionsOf compiles spec.exempt of a gate.
func ExemptionsOf(gate *v1alpha1.ImageGate) (Exemptions, error) {
	all, err := exemptions(gate.Spec.Exempt, time.Time{})
	return Exemptions{all}, err
}

// Match reports whether a reference is exempt. What Normalize refuses never is.
func (e Exemptions) Match(reference string, now time.Time) bool {
	n, err := Normalize(reference)
	if err != nil {
		return false
	}
	for _, x := range e.all {
		if (x.until.IsZero() || now.Before(x.until)) && x.pattern.Match(n) {
			return true
		}
	}
	return false
}

// chunk is how long the expressions of one variable may be together. The API server charges
// for the length of an expression times that of a name: a variable may cost 1,000,000, and
// this one costs half of it for 31 names of 255 characters.
const chunk = 2000

// unless adds variables that leave out what is exempt of the references in variable from. It
// returns the variable that holds the rest.
func (c *compiler) unless(
	from string, variables []admissionv1.Variable,
) (string, []admissionv1.Variable) {
	var matching []string
	length := 0
	flush := func() {
		if len(matching) == 0 {
			return
		}
		next := fmt.Sprintf("unexempt%d", len(variables))
		variables = append(variables, variable(next,
			fmt.Sprintf("variables.%s.filter(r, r.name == '' || !(%s))", from, strings.Join(matching, " || "))))
		from, matching, length = next, nil, 0
	}
	for _, x := range c.exempt {
		matches := x.pattern.cel()
		if !x.until.IsZero() {
			matches += " && " + createdAt + " < timestamp(" + quote(x.until.Format(time.RFC3339)) + ")"
		}
		if length += len(x.pattern.rest); length > chunk {
			flush()
			length = len(x.pattern.rest)
		}
		matching = append(matching, "("+matches+")")
	}
	flush()
	return from, variables
}

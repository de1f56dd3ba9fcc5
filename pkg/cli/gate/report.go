package gate

import (
	"errors"
	"fmt"
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/command"
)

// Happens is what becomes of an image.
type Happens string

// What becomes of an image. The zero value is not known.
const (
	NotKnown Happens = ""
	Admitted Happens = "admitted"
	// Warned and Audited: it starts, and in Deny it would not.
	Warned  Happens = "warned"
	Audited Happens = "audited"
	Refused Happens = "refused"
)

// Report is what all gates say of all images.
type Report struct {
	Gates  []Asked `json:"gates"`
	Images []Image `json:"images"`
	// Notes say what could not be read or asked.
	Notes []string `json:"notes,omitempty"`
	// Other counts the objects that hold no Pod, by kind.
	Other map[string]int `json:"other,omitempty"`
}

// Asked is a gate that was asked.
type Asked struct {
	Name string `json:"name"`
	// Mode is the mode in force; empty if the gate is not in force yet.
	Mode v1alpha1.GateMode `json:"mode,omitempty"`
	// Wanted is spec.mode.
	Wanted v1alpha1.GateMode `json:"wantedMode"`
}

// Image is what one gate says of one image in one place.
type Image struct {
	Namespace string `json:"namespace"`
	// Object is kind and name.
	Object string `json:"object"`
	// Field is the place within the object.
	Field string `json:"field"`
	// Image is the reference as it stands there, and Name its normalised form.
	Image string `json:"image"`
	Name  string `json:"name,omitempty"`
	// Pinned is the digest that its tag would be pinned to.
	Pinned string `json:"pinned,omitempty"`
	// Gate is empty if no gate gates the namespace.
	Gate string            `json:"gate,omitempty"`
	Mode v1alpha1.GateMode `json:"mode,omitempty"`
	// Standing is Verified, Expired, Failed, Unknown, Exempt or NotKnown.
	Standing string     `json:"standing,omitempty"`
	Expires  *time.Time `json:"expires,omitempty"`
	// Happens is what becomes of it by the gate's mode, and InDeny what would in Deny.
	Happens Happens `json:"happens"`
	InDeny  Happens `json:"inDeny"`
	Why     string  `json:"why,omitempty"`
	Cure    string  `json:"cure,omitempty"`
	// Disagreement is what the API server said to a dry run, if it is something else.
	Disagreement string `json:"disagreement,omitempty"`
	// Tried is true if the API server was asked.
	Tried bool `json:"tried"`

	expiresIn string
}

// conclude returns what the exit status says, or nil if everything is admitted.
func (r *Report) conclude() error {
	refused, later, unknown, disagree := 0, 0, 0, 0
	for i := range r.Images {
		image := &r.Images[i]
		switch image.InDeny {
		case Refused:
			if refused++; image.Happens != Refused {
				later++
			}
		case Admitted, Warned, Audited:
		default:
			unknown++
		}
		if image.Disagreement != "" {
			disagree++
		}
	}
	switch {
	case refused > 0 && later == refused:
		return &command.StatusError{Status: exitRefused, Err: fmt.Errorf("%d would be refused, if the gate's mode were Deny", refused)}
	case refused > 0:
		return &command.StatusError{Status: exitRefused, Err: fmt.Errorf("%d refused", refused)}
	case disagree > 0:
		return &command.StatusError{Status: exitNotKnown, Err: fmt.Errorf("the API server disagrees about %d", disagree)}
	case unknown > 0:
		return &command.StatusError{Status: exitNotKnown, Err: fmt.Errorf("not known for %d", unknown)}
	case len(r.Images) == 0:
		return &command.StatusError{Status: exitNotKnown, Err: errors.New("there is no image in what was read")}
	default:
		return nil
	}
}

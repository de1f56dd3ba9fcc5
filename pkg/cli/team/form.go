package team

import (
	"fmt"
	"regexp"

	"github.com/revet-dev/revet/triggers"
)

const storageClassFlag = "storage-class"

// claimLine is the line of the volume of a run before which its class is written.
var claimLine = regexp.MustCompile(`(?m)^( *)accessModes:`)

// form returns the manifests of the pipeline in the form that the flags name: with publishing in a
// Pod of its own, or without. Comments mark what differs, and ko keeps comments.
func (o *options) form(content []byte) ([]byte, error) {
	if !o.apart {
		return content, nil
	}
	content, marked := triggers.Apart(content)
	if !marked || len(claimLine.FindAll(content, -1)) != 1 {
		return nil, fmt.Errorf("the pipeline does not have the lines marked #apart that --%s takes the mark from; "+
			"give what 'ko resolve -f triggers/' prints of this version of Revet", storageClassFlag)
	}
	if o.storageClass != "" {
		content = claimLine.ReplaceAll(content, []byte("${1}storageClassName: "+o.storageClass+"\n${1}accessModes:"))
	}
	if !o.fsGroup {
		return content, nil
	}
	if content, marked = triggers.Group(content); !marked {
		return nil, fmt.Errorf("the pipeline does not have the line marked #group that --fs-group takes the mark from")
	}
	return content, nil
}

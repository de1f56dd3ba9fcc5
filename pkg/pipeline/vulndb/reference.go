package vulndb

import (
	"fmt"
	"strings"

	"github.com/revet-dev/revet/pkg/image"
)

// Reference is the location of a database: a repository, and a tag or a digest in it.
type Reference struct {
	repository image.Repository
	tag        string
	digest     image.Digest
}

// ParseReference parses host/path:tag or host/path@sha256:hex. It assumes no default tag. It also
// rejects a tag with a digest, because one of the two would be ignored.
func ParseReference(s string) (Reference, error) {
	if strings.Contains(s, "@") {
		r, err := image.ParseReference(s)
		if err != nil {
			return Reference{}, err
		}
		return Reference{repository: r.Repository(), digest: r.Digest()}, nil
	}
	at := strings.LastIndexByte(s, ':')
	if at < strings.LastIndexByte(s, '/') {
		at = -1
	}
	if at < 0 || !image.ValidTag(s[at+1:]) {
		return Reference{}, fmt.Errorf("reference %.300q has neither tag nor digest; write host/path:tag or host/path@sha256:hex", s)
	}
	repository, err := image.ParseRepository(s[:at])
	if err != nil {
		return Reference{}, err
	}
	return Reference{repository: repository, tag: s[at+1:]}, nil
}

// Repository returns the repository.
func (r Reference) Repository() image.Repository { return r.repository }

// Tag returns the tag, or "" if r has a digest.
func (r Reference) Tag() string { return r.tag }

// String returns the form that ParseReference parses.
func (r Reference) String() string {
	if r.tag == "" {
		return r.repository.At(r.digest).String()
	}
	return r.repository.String() + ":" + r.tag
}

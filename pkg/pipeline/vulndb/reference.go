package vulndb

import (
	"fmt"
	"strings"

	"github.com/revet-dev/revet/pkg/image"
)

// Reference is where a database is: a repository, and a tag or a digest in it.
type Reference struct {
	repository image.Repository
	tag        string
	digest     image.Digest
}

// ParseReference reads host/path:tag or host/path@sha256:hex. No tag is assumed,
// and not both are accepted, as one of them would not be looked at.
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
		return Reference{}, fmt.Errorf("reference %.300q names no tag and no digest; write host/path:tag or host/path@sha256:hex", s)
	}
	repository, err := image.ParseRepository(s[:at])
	if err != nil {
		return Reference{}, err
	}
	return Reference{repository: repository, tag: s[at+1:]}, nil
}

// Repository returns where the reference points.
func (r Reference) Repository() image.Repository { return r.repository }

// Tag returns the tag, or "" where r has a digest.
func (r Reference) Tag() string { return r.tag }

// String returns what ParseReference reads.
func (r Reference) String() string {
	if r.tag == "" {
		return r.repository.At(r.digest).String()
	}
	return r.repository.String() + ":" + r.tag
}

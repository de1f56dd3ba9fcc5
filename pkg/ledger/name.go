package ledger

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/push"
)

const (
	// hashBytes is how much of a SHA-256 goes into a name: 128 bits.
	hashBytes = 16
	// maxPrefix keeps a name, with its hyphen and hash, within the 63 characters
	// of a label value.
	maxPrefix = 63 - 1 - 2*hashBytes
)

// EntryName is the name of the entry of one trigger, repository incarnation and
// digest: a readable prefix and 128 bits that identify all of them.
func EntryName(triggerUID string, r push.Repository, d image.Digest) string {
	return prefix(r.Name) + "-" + hash(triggerUID, string(r.Kind), r.Name, r.UID, d.String())
}

// RunName is the name of an entry's run: a readable prefix and 128 bits of the
// entry's UID and the run's number.
func RunName(entry *v1alpha1.ImageVerification, number int32) string {
	return prefix(entry.Spec.Repository.Name) + "-" + hash(string(entry.UID), strconv.Itoa(int(number)))
}

// hash separates its parts by a byte that no part can contain.
func hash(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:hashBytes])
}

// prefix makes the last segment of a repository's name a valid part of an object's name.
func prefix(repository string) string {
	last := repository[strings.LastIndexByte(repository, '/')+1:]
	clean := strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			return c
		case c >= 'A' && c <= 'Z':
			return c - 'A' + 'a'
		default:
			return '-'
		}
	}, last)
	if len(clean) > maxPrefix {
		clean = clean[:maxPrefix]
	}
	if clean = strings.Trim(clean, "-"); clean == "" {
		return "image"
	}
	return clean
}

package policy

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	yaml "go.yaml.in/yaml/v3"

	"github.com/revet-dev/revet/pkg/pipeline/result"
)

// anyID matches any id in the packages that an entry names.
const anyID = "*"

var idPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:+-]{0,126}$`)

// ignore is one entry of the ignore list.
type ignore struct {
	waiver
	id       string
	packages []*regexp.Regexp // empty: any
}

// ignoreEntry is an entry as written in the policy.
type ignoreEntry struct {
	ID       string    `yaml:"id"`
	Packages yaml.Node `yaml:"packages"`
	words    `yaml:",inline"`
}

func parseIgnores(entries []ignoreEntry, lines []int) ([]ignore, error) {
	if len(entries) > maxIgnores {
		return nil, fmt.Errorf("the policy ignores %d vulnerabilities; the limit is %d", len(entries), maxIgnores)
	}
	var all []ignore
	for i, e := range entries {
		next, err := e.parse(lines[i])
		if err != nil {
			return nil, fmt.Errorf("ignore, entry %d (line %d): %w", i+1, lines[i], err)
		}
		all = append(all, next)
	}
	return all, nil
}

func (e ignoreEntry) parse(line int) (ignore, error) {
	packages, err := listed("packages", e.Packages)
	switch {
	case err != nil:
		return ignore{}, err
	case e.ID == "":
		return ignore{}, errors.New(`id is missing; name a vulnerability, or write "*" for all of some packages`)
	case e.ID != anyID && !idPattern.MatchString(e.ID):
		return ignore{}, fmt.Errorf("id %.130q is not the name of a vulnerability", e.ID)
	case namesMalware(e.ID):
		return ignore{}, fmt.Errorf("id %.130q is known malware, which cannot be waived; remove the package from the image, and the entry from the policy", e.ID)
	case e.ID == anyID && len(packages) == 0:
		return ignore{}, errors.New(`id "*" without packages would ignore everything; name packages, or leave levels out of failOn`)
	}
	out := ignore{id: e.ID}
	if out.waiver, err = e.words.parse(line, "it does not matter"); err != nil {
		return ignore{}, err
	}
	out.packages, err = patterns("packages", packages)
	return out, err
}

// covers reports whether the entry applies to v.
func (i ignore) covers(v result.Vulnerability) bool {
	if i.id != anyID && i.id != v.ID && !slices.Contains(v.Aliases, i.id) {
		return false
	}
	if len(i.packages) == 0 {
		return true
	}
	return slices.ContainsFunc(i.packages, func(p *regexp.Regexp) bool {
		return p.MatchString(v.Package.Name) || p.MatchString(v.Package.Name+"@"+v.Package.Version) ||
			v.Package.PURL != "" && p.MatchString(v.Package.PURL)
	})
}

// namesMalware reports whether an id comes from OpenSSF's list of malicious packages.
func namesMalware(id string) bool { return strings.HasPrefix(strings.ToUpper(id), "MAL-") }

// malware reports whether v says that the package itself is malicious.
func malware(v result.Vulnerability) bool {
	return v.Malware || namesMalware(v.ID) || slices.ContainsFunc(v.Aliases, namesMalware)
}

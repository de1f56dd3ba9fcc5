package triage_test

import (
	"testing"

	"github.com/revet-dev/revet/pkg/pipeline/findings"
	"github.com/revet-dev/revet/pkg/pipeline/triage"
)

// Whatever is written as a policy and as a document is refused or can be applied;
// no vulnerability is lost, and all that are ignored are told of.
func FuzzPolicy(f *testing.F) {
	f.Add("failOn: [low]\nonlyIfFixed: [low]\nignore:\n- {id: DSA-1, packages: ['o*'], reason: x, expires: 2026-06-30}", vex("a", says(notAffected, ofPackage)))
	f.Add("onlyIfFixed: false", vex("a", says(`"status":"affected"`, `"products":[{"@id":"x","subcomponents":[{"hashes":{}}]}]`)))
	f.Add("", "")
	f.Fuzz(func(t *testing.T, policy, document string) {
		documents := map[string][]byte{}
		if document != "" {
			documents["a.vex.json"] = []byte(document)
		}
		p, err := triage.Parse([]byte(policy), documents)
		if err != nil {
			return
		}
		found := []findings.Vulnerability{openssl(), openssl(unfixed), openssl(level(findings.Unknown))}
		j := p.Judge(root, found, now)
		told, ignored := 0, 0
		for _, x := range j.Findings {
			switch x.Rule {
			case triage.RuleIgnored:
				ignored++
			case found[0].ID:
				told++
			}
		}
		if len(j.Vulnerabilities) != len(found) || told+j.Suppressed != len(found) || (ignored > 0) != (j.Suppressed > 0) {
			t.Errorf("%+v", j)
		}
	})
}

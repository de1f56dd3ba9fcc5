package policy_test

import (
	"testing"

	"github.com/revet-dev/revet/pkg/pipeline/policy"
	"github.com/revet-dev/revet/pkg/pipeline/result"
)

// Whatever is written as a policy and as a document is refused or can be applied; no
// vulnerability is lost, all that are ignored are told of, malware fails, and what nobody
// could look at fails or carries a waiver.
func FuzzPolicy(f *testing.F) {
	f.Add("failOn: [low]\nonlyIfFixed: [low]\nignore:\n- {id: DSA-1, packages: ['o*'], reason: x, expires: 2026-06-30}",
		vex("a", says(notAffected, ofPackage)))
	f.Add("onlyIfFixed: false", vex("a", says(`"status":"affected"`, `"products":[{"@id":"x","subcomponents":[{"hashes":{}}]}]`)))
	f.Add("rules: {no-packages: warn}\nfailOn: [known-exploited]"+exceptionOf, "")
	f.Add("rules: &a {no-packages: warn}\nignore: [{id: GHSA-1, reason: x, expires: never, owner: y}]", "")
	f.Add("", "")
	f.Fuzz(func(t *testing.T, text, document string) {
		documents := map[string][]byte{}
		if document != "" {
			documents["a.vex.json"] = []byte(document)
		}
		p, err := policy.Parse([]byte(text), documents)
		if err != nil {
			return
		}
		found := []result.Vulnerability{openssl(), openssl(unfixed), openssl(level(result.LevelUnknown)), evil()}
		j := p.Judge(root, found, now)
		told, ignored, malware := 0, 0, 0
		for _, x := range j.Findings {
			switch x.Rule {
			case policy.RuleIgnored:
				ignored++
			case found[0].ID:
				told++
			case evil().ID:
				if x.Severity == result.SeverityError {
					malware++
				}
			}
		}
		if len(j.Vulnerabilities) != len(found) || told+suppressed(j) != len(found)-1 || (ignored > 0) != (suppressed(j) > 0) || malware != 1 {
			t.Errorf("%+v", j)
		}
		for _, rule := range policy.Rules() {
			for _, ref := range []string{reference, ""} {
				d := p.Gap(rule, "debian:13", ref, now)
				if (d.Severity == result.SeverityError) != (d.Waiver == nil) || d.Waiver != nil && d.Severity != result.SeverityWarning {
					t.Errorf("%s of %q: %+v", rule, ref, d)
				}
			}
		}
	})
}

package validate_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/revet-dev/revet/pkg/pipeline/validate"
)

// Whatever a rules file says: it is refused in bounded time and by its own
// names, or every rule of it is applied in bounded time; a rule that cannot be
// evaluated never passes an image.
func FuzzRules(f *testing.F) {
	f.Add(one("image.config.user != 'root' && image.size < 1000"))
	f.Add("rules:\n- {name: a, severity: warning, expression: 'false', message: m, messageExpression: 'image.platform'}\n")
	f.Add("rules:\n- {name: a, expression: 'image.history.all(h, image.layers.all(l, image.config.env.all(e, e.matches(\"(a*)*b\"))))', message: m}\n")
	f.Add("rules: &a [*a]\n")
	f.Add("parameters: {a: &x [1,1], b: [*x,*x]}\nrules:\n- {name: r, message: m, expression: 'parameters.b.size() > 0'}\n")
	f.Fuzz(func(t *testing.T, file string) {
		// What the step allows; a slow machine and instrumented code included.
		const allowed = 5 * time.Second
		start := time.Now()
		rules, err := validate.Parse([]byte(file))
		if took := time.Since(start); took > allowed {
			t.Errorf("reading %d bytes took %v", len(file), took)
		}
		if err != nil {
			if strings.Contains(err.Error(), " validate.") {
				t.Errorf("the error shows a type of the program: %v", err)
			}
			return
		}
		ctx, cancel := context.WithTimeout(t.Context(), allowed)
		defer cancel()
		start = time.Now()
		got, err := rules.Check(ctx, sample(t, linux("amd64")), now)
		if took := time.Since(start); took > 2*allowed {
			t.Errorf("checking took %v", took)
		}
		if err != nil {
			if len(got.Images)+len(got.Findings)+got.Rules > 0 {
				t.Errorf("a report beside the error %v: %+v", err, got)
			}
			return
		}
		if got.Rules < 1 || len(got.Images) != 1 || len(got.Findings) > got.Rules {
			t.Errorf("%d rules, %d images, %d findings", got.Rules, len(got.Images), len(got.Findings))
		}
		for _, finding := range got.Findings {
			if finding.Rule == "" || finding.Severity == "" || strings.ContainsAny(finding.Message, "\n\x1b") || len(finding.Message) > 1024 {
				t.Errorf("a finding that cannot be shown: %+v", finding)
			}
		}
	})
}

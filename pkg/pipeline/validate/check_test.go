package validate_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
	"github.com/revet-dev/revet/pkg/pipeline/result"
	"github.com/revet-dev/revet/pkg/pipeline/validate"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func digest(t *testing.T, n int) image.Digest {
	t.Helper()
	d, err := image.ParseDigest(fmt.Sprintf("sha256:%064x", n))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// sample is a tree of one image for each configuration.
func sample(t *testing.T, configs ...oci.Config) oci.Tree {
	t.Helper()
	tree := oci.Tree{Root: oci.Descriptor{Digest: digest(t, 1)}}
	for i, c := range configs {
		tree.Images = append(tree.Images, oci.Image{
			Manifest: oci.Descriptor{Digest: digest(t, 10+i), MediaType: "application/vnd.oci.image.manifest.v1+json"},
			Config:   c,
			Layers:   []oci.Layer{{Descriptor: oci.Descriptor{Digest: digest(t, 20), Size: 100}}, {Descriptor: oci.Descriptor{Digest: digest(t, 21), Size: 23}}},
		})
	}
	return tree
}

func linux(architecture string) oci.Config {
	created := now.Add(-time.Hour)
	return oci.Config{
		Platform: oci.Platform{OS: "linux", Architecture: architecture},
		Created:  &created,
		Config: oci.Settings{
			User: "65532", Env: []string{"PATH=/bin"}, Labels: map[string]string{"team": "web"},
			Entrypoint: []string{"/app"}, Cmd: []string{"serve"}, WorkingDir: "/srv",
			ExposedPorts: map[string]struct{}{"9090/tcp": {}, "8080/tcp": {}},
		},
		History: []oci.Step{{CreatedBy: "COPY app /app"}, {CreatedBy: "USER 65532", EmptyLayer: true}},
	}
}

func rulesOf(t *testing.T, text string) validate.Rules {
	t.Helper()
	rules, err := validate.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

func one(expression string) string {
	return "parameters: {days: 2, labels: [team], ratio: 0.5}\nrules:\n- {name: r, message: m, expression: " + fmt.Sprintf("%q", expression) + "}\n"
}

// Every name that the package documents can be used in an expression.
func TestExpressionsSeeTheWholeImage(t *testing.T) {
	for _, expression := range []string{
		"image.digest.startsWith('sha256:')",
		"image.mediaType.endsWith('manifest.v1+json')",
		"image.platform == 'linux/amd64'",
		"image.created == now - duration('1h') && has(image.created)",
		"image.size == 123",
		"image.layers.map(l, l.size).exists(s, s == 23) && image.layers[0].digest != '' && image.layers[0].mediaType == ''",
		"image.config.user == '65532' && image.config.workingDir == '/srv'",
		"image.config.env == ['PATH=/bin'] && image.config.entrypoint == ['/app'] && image.config.cmd == ['serve']",
		"image.config.exposedPorts == ['8080/tcp', '9090/tcp']",
		"image.config.labels['team'] == 'web' && !('tier' in image.config.labels)",
		"image.history.filter(h, !h.emptyLayer).all(h, h.createdBy.contains('COPY') && h.comment == '' && h.created < now)",
		"parameters.days * 24 == 48 && parameters.ratio < 1 && parameters.labels.all(l, l in image.config.labels)",
		"image.created >= now - duration(string(parameters.days * 24) + 'h')",
	} {
		t.Run(expression, func(t *testing.T) {
			got, err := rulesOf(t, one(expression)).Check(t.Context(), sample(t, linux("amd64")), now)
			if err != nil || len(got.Findings) != 0 {
				t.Errorf("findings %v, error %v; want neither", got.Findings, err)
			}
		})
	}
}

// What an image leaves out is empty, and is an error nowhere.
func TestExpressionsOverAnEmptyImage(t *testing.T) {
	for _, expression := range []string{
		"image.platform == 'unknown' && image.config.user == ''",
		"image.config.env.size() == 0 && image.history.size() == 0 && image.config.labels.size() == 0",
		"!('x' in image.config.labels) && !image.config.env.exists(e, true)",
		"image.created == timestamp('1970-01-01T00:00:00Z') && !has(image.history)",
		"now - image.created > duration('8760h')",
	} {
		got, err := rulesOf(t, one(expression)).Check(t.Context(), sample(t, oci.Config{}), now)
		if err != nil || len(got.Findings) != 0 {
			t.Errorf("%s: findings %v, error %v; want neither", expression, got.Findings, err)
		}
	}
}

// A build tool's "unknown" is the year 1; a rule can still subtract it.
func TestExpressionsOverAnUnknownAge(t *testing.T) {
	c := linux("amd64")
	c.Created = &time.Time{}
	got, err := rulesOf(t, one("now - image.created < duration('24h')")).Check(t.Context(), sample(t, c), now)
	if err != nil || len(got.Findings) != 1 {
		t.Errorf("findings %v, error %v; want one finding", got.Findings, err)
	}
}

// Every image of an index is checked, and a finding says which it is about.
func TestCheckReportsEachImage(t *testing.T) {
	bad := linux("arm64")
	bad.Config.User = ""
	rules := rulesOf(t, `
rules:
- name: non-root
  expression: image.config.user != ''
  message: it runs as root
- name: named
  severity: warning
  expression: "'title' in image.config.labels"
  message: it has no title
  messageExpression: "'no title for ' + image.platform + '\\n\\u0007now'"
`)
	got, err := rules.Check(t.Context(), sample(t, linux("amd64"), bad), now)
	if err != nil {
		t.Fatal(err)
	}
	want := result.Report{
		Check: "validate", Digest: digest(t, 1), Rules: 2,
		Images: []result.CheckedImage{{Platform: "linux/amd64", Digest: digest(t, 10)}, {Platform: "linux/arm64", Digest: digest(t, 11)}},
		Findings: []result.Finding{
			{Rule: "named", Severity: result.SeverityWarning, Platform: "linux/amd64", Digest: digest(t, 10), Message: "no title for linux/amd64 ?now"},
			{Rule: "non-root", Severity: result.SeverityError, Platform: "linux/arm64", Digest: digest(t, 11), Message: "it runs as root"},
			{Rule: "named", Severity: result.SeverityWarning, Platform: "linux/arm64", Digest: digest(t, 11), Message: "no title for linux/arm64 ?now"},
		},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(image.Digest{})); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
}

// A rule that cannot be evaluated is an error that names it, never a pass.
func TestCheckFailsClosed(t *testing.T) {
	many := linux("amd64")
	many.Config.Env = append([]string{strings.Repeat("A", 1<<20)}, slices.Repeat([]string{"A=b"}, 3000)...)
	expired, cancel := context.WithDeadline(t.Context(), now)
	defer cancel()
	tests := []struct {
		name, expression string
		ctx              context.Context
		want             string
	}{
		{"a label that is not there", "image.config.labels['nope'] == 'x'", t.Context(), "first test that the key exists"},
		{"a parameter that is not there", "parameters.nope == 1", t.Context(), `rule "r" (line 3), image linux/amd64`},
		{"an index out of range", "image.layers[9].size == 1", t.Context(), `rule "r" (line 3), image linux/amd64`},
		{"no bool", "parameters.days", t.Context(), "not bool"},
		{"a cost beyond the limit", "image.config.env.all(e, !image.config.env[0].matches('(B|C)+D{3}(E|F)+$'))", t.Context(), "cost limit"},
		{"time that ran out", "image.config.env.all(a, image.config.env.all(b, a + b != ''))", expired, "time ran out"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := rulesOf(t, one(tt.expression)).Check(tt.ctx, sample(t, many), now)
			if err == nil || !strings.Contains(err.Error(), tt.want) || got.Check != "" {
				t.Errorf("report %+v, error %v; want no report and %q", got, err, tt.want)
			}
		})
	}
	if _, err := (validate.Rules{}).Check(t.Context(), sample(t, many), now); err == nil {
		t.Error("the zero value of Rules checks an image")
	}
	if _, err := rulesOf(t, one("true")).Check(t.Context(), oci.Tree{}, now); err == nil {
		t.Error("a tree without an image is checked")
	}
}

// A finding stands even if its wording cannot be had.
func TestCheckFallsBackToTheMessage(t *testing.T) {
	rules := rulesOf(t, "rules:\n- {name: r, expression: 'false', message: plain, messageExpression: \"image.config.labels['nope']\"}\n")
	got, err := rules.Check(t.Context(), sample(t, linux("amd64")), now)
	if err != nil || len(got.Findings) != 1 || got.Findings[0].Message != "plain" {
		t.Errorf("findings %v, error %v; want one that says plain", got.Findings, err)
	}
}

// A broken rules file names the rule, where it is, and what is wrong.
func TestParseRefuses(t *testing.T) {
	rule := "- {name: r, expression: 'true', message: m}\n"
	tests := []struct{ name, file, want string }{
		{"an empty file", "", "names no rule"},
		{"a list without rules", "rules: []", "names no rule"},
		{"an unknown field", "rules:\n" + rule + "- {name: s, expresion: x}\n", "line 3: field expresion not found"},
		{"an unknown section", "parameter: {}\nrules:\n" + rule, "line 1: field parameter not found"},
		{"broken YAML", "rules:\n- name: [", "line 2"},
		{"two documents", "rules:\n" + rule + "---\nrules: []\n", "more than one YAML document"},
		{"a section twice", "rules:\n" + rule + "rules:\n" + rule, "already defined at line 1"},
		{"a name twice", "rules:\n" + rule + rule, `rule "r" (line 3): the rule on line 2 already has this name`},
		{"a name that is none", "rules:\n- {name: A b, expression: 'true', message: m}", `rule "A b" (line 2): the name`},
		{"no expression", "rules:\n- {name: r, message: m}", `rule "r" (line 2): expression is missing`},
		{"no message", "rules:\n- {name: r, expression: 'true'}", `rule "r" (line 2): message is missing`},
		{"a severity of its own", "rules:\n- {name: r, severity: high, expression: 'true', message: m}", `accepted are "error" and "warning"`},
		{"a syntax error", "rules:\n- {name: r, expression: 'image.(', message: m}", `rule "r" (line 2): expression: at 1:7`},
		{"a field that an image does not have", "rules:\n" + rule + "- {name: s, expression: 'image.confg.user == 0', message: m}", `rule "s" (line 3): expression: at 1:6: undefined field 'confg'`},
		{"a variable that is not there", "rules:\n- {name: r, expression: 'img.user', message: m}", "at 1:1: undeclared reference to 'img'"},
		{"types that do not fit", "rules:\n- {name: r, expression: 'image.size == image.platform', message: m}", "found no matching overload"},
		{"no bool", "rules:\n- {name: r, expression: 'image.size', message: m}", "of type int, not bool"},
		{"a message that is no string", "rules:\n- {name: r, expression: 'true', message: m, messageExpression: 'image.size'}", "messageExpression: it returns a value of type int, not string"},
		{"a broken pattern", "rules:\n- {name: r, expression: \"image.platform.matches('(')\", message: m}", "invalid matches argument"},
		{"an expression that is too long", "rules:\n- {name: r, message: m, expression: \"'" + strings.Repeat("x", 5000) + "' != ''\"}", "size exceeds limit"},
		{"an expression that is too deep", "rules:\n- {name: r, message: m, expression: '" + strings.Repeat("(", 300) + "true" + strings.Repeat(")", 300) + "'}", "recursion limit"},
		{"too many rules", "rules:\n" + strings.Repeat(rule, 201), "limit is 200"},
		{"a file that is too large", "#" + strings.Repeat("x", validate.MaxFile), "the limit is"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := validate.Parse([]byte(tt.file))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error is %v, want %q", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "validate.") {
				t.Errorf("the error shows a type of the program: %v", err)
			}
		})
	}
}

package config_test

import (
	"strings"
	"testing"

	"github.com/revet-dev/revet/pkg/config"
	"github.com/revet-dev/revet/pkg/image"
)

// What is accepted allows what it lists and nothing else; what is not allows nothing.
func FuzzRegistries(f *testing.F) {
	f.Add(`[{name: a, host: "r.example.com:5000", insecure: true, namespaces: ["*"]}, {name: b, host: s.example.com, namespaces: [shop]}]`, "shop")
	f.Add(`[{name: a, host: "https://r.example.com", namespaces: ["*"]}]`, "x")
	f.Add(`[{name: a, host: r.example.com, namespaces: [x]}, {name: b, host: R.example.com, insecure: true, namespaces: [y]}]`, "x")
	f.Add("- &a {name: a, host: h, namespaces: [x]}\n- *a\n", "x")
	f.Fuzz(func(t *testing.T, document, namespace string) {
		rs, err := config.ParseRegistries(document)
		if err != nil && rs != nil {
			t.Errorf("%d registries beside the error %v", len(rs), err)
		}
		names := map[string]bool{}
		for _, r := range rs {
			if names[r.Name] {
				t.Errorf("the name %q is there twice", r.Name)
			}
			names[r.Name] = true
			if _, err := image.ParseRepository(r.Host + "/x"); err != nil || strings.Contains(r.Host, "/") || strings.ContainsAny(r.Name, "/. ") || len(r.Namespaces) == 0 {
				t.Errorf("accepted: %+v", r)
			}
			insecure, ok := rs.Policy(strings.ToUpper(r.Host), namespace)
			if r.Allows(namespace) && (!ok || insecure != r.Insecure) {
				t.Errorf("%+v, and its policy for %q is %t, %t", r, namespace, insecure, ok)
			}
			if listed := strings.Contains(document, namespace) || strings.Contains(document, "*"); r.Allows(namespace) && !listed && !strings.Contains(document, `\`) {
				t.Errorf("%q is allowed and stands nowhere in %q", namespace, document)
			}
		}
		if len(rs.Hosts(namespace)) > len(rs) {
			t.Errorf("%d hosts of %d registries", len(rs.Hosts(namespace)), len(rs))
		}
		sinks, err := config.ParseSinks(document)
		if err != nil && sinks != nil {
			t.Errorf("%d sinks beside the error %v", len(sinks), err)
		}
		for _, s := range sinks {
			if s.Host == "" || len(s.Namespaces) == 0 || strings.Contains(s.Host, "/") {
				t.Errorf("accepted: %+v", s)
			}
		}
	})
}

// wordsOfErrors are what the errors about tokens say themselves.
const wordsOfErrors = "for example from: openssl rand -hex 24 a token needs at least characters is not the name of a registry in config-registries"

// A token is valid for its own registry and for no other, whole and never in
// part, and stands in no error.
func FuzzTokens(f *testing.F) {
	f.Add("harbor", oldToken+"\n"+newToken, oldToken)
	f.Add("harbor", "short", "short")
	f.Add("a/b", oldToken, oldToken)
	f.Fuzz(func(t *testing.T, name, lines, presented string) {
		tokens, err := config.ParseTokens(map[string][]byte{name: []byte(lines)})
		if err != nil {
			for _, token := range strings.Fields(lines) {
				own := strings.Contains(wordsOfErrors, token) || strings.Contains(name, token)
				if len(token) >= 8 && !own && strings.Contains(err.Error(), token) {
					t.Errorf("the error tells a token: %v", err)
				}
			}
			return
		}
		listed := false
		for _, line := range strings.Split(lines, "\n") {
			listed = listed || presented != "" && strings.TrimSpace(line) == presented
		}
		if got := valid(tokens, name, presented); got != listed {
			t.Errorf("Valid(%q, %q) is %t of %q", name, presented, got, lines)
		}
		if valid(tokens, name+"x", presented) || valid(tokens, name, presented+"x") && !strings.Contains(lines, presented+"x") {
			t.Error("a token is valid for another name, or in part")
		}
	})
}

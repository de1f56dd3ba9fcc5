package config_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/revet-dev/revet/pkg/config"
	"github.com/revet-dev/revet/pkg/source/registry/webhook"
)

func TestParseRegistriesNamesWhatIsWrong(t *testing.T) {
	for _, test := range []struct{ name, document, want string }{
		{"an unknown field", `[{name: a, host: r.example.com, namespaces: ["*"], tls: false}]`, "tls"},
		{"not a list", `name: a`, "a list of"},
		{"not YAML", "\t{", "a list of"},
		{"a name that cannot be a path", `[{name: "a/b", host: r.example.com, namespaces: ["*"]}]`, `entry 1: name "a/b"`},
		{"no name", `[{host: r.example.com, namespaces: ["*"]}]`, `entry 1: name ""`},
		{"a host with a scheme", `[{name: a, host: "https://r.example.com", namespaces: ["*"]}]`, `entry 1: host "https://r.example.com"`},
		{"a host with a path", `[{name: a, host: r.example.com/team, namespaces: ["*"]}]`, `entry 1: host`},
		{"no host", `[{name: a, namespaces: ["*"]}]`, `entry 1: host ""`},
		{"no namespaces", `[{name: a, host: r.example.com}]`, `namespaces is empty`},
		{"a pattern for namespaces", `[{name: a, host: r.example.com, namespaces: ["team-*"]}]`, `namespace "team-*"`},
		{"a vendor that nobody knows", `[{name: a, host: r.example.com, vendor: acme, namespaces: ["*"]}]`, `vendor "acme" is not known; Revet knows ` + strings.Join(webhook.Vendors(), ", ")},
		{"one name twice", `[{name: a, host: r.example.com, namespaces: ["*"]}, {name: a, host: s.example.com, namespaces: ["*"]}]`, "entries 1 and 2 have the same name"},
		{"one host, secure and not", `[{name: a, host: r.example.com, namespaces: [x]}, {name: b, host: R.example.com, insecure: true, namespaces: [y]}]`, "entries 1 and 2 disagree"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := config.ParseRegistries(test.document)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error = %v, want one naming %q", err, test.want)
			}
		})
	}
}

func TestRegistriesAllowByNamespace(t *testing.T) {
	rs, err := config.ParseRegistries(`
- {name: all, host: "all.example.com:5000", insecure: true, namespaces: ["*"]}
- {name: some, host: some.example.com, namespaces: [shop, sec]}
`)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		host, namespace string
		insecure, ok    bool
	}{
		{"all.example.com:5000", "any", true, true},
		{"ALL.example.com:5000", "any", true, true},
		{"all.example.com", "any", false, false},
		{"some.example.com", "shop", false, true},
		{"some.example.com", "other", false, false},
		{"none.example.com", "shop", false, false},
	} {
		if insecure, ok := rs.Policy(test.host, test.namespace); insecure != test.insecure || ok != test.ok {
			t.Errorf("Policy(%q, %q) = %t, %t; want %t, %t", test.host, test.namespace, insecure, ok, test.insecure, test.ok)
		}
	}
	if diff := cmp.Diff([]string{"all.example.com:5000", "some.example.com"}, rs.Hosts("sec")); diff != "" {
		t.Errorf("hosts (-want +got):\n%s", diff)
	}
	if empty, err := config.ParseRegistries(""); err != nil || len(empty) != 0 {
		t.Errorf("an empty document = %v, %v; want an empty list", empty, err)
	}
}

func TestSinksAllowByNamespace(t *testing.T) {
	sinks, err := config.ParseSinks(`[{host: "el.example.com:8080", namespaces: [shop]}]`)
	if err != nil {
		t.Fatal(err)
	}
	if !sinks.Allows("el.example.com:8080", "shop") || sinks.Allows("el.example.com:8080", "other") || sinks.Allows("el.example.com", "shop") {
		t.Errorf("sinks %v allow the wrong ones", sinks)
	}
	for _, bad := range []string{`[{host: "http://x", namespaces: ["*"]}]`, `[{host: x.example.com}]`, `[{hosts: x}]`} {
		if _, err := config.ParseSinks(bad); err == nil {
			t.Errorf("%s is accepted", bad)
		}
	}
}

const (
	oldToken = "old-token-0123456789"
	newToken = "new-token-0123456789"
)

func valid(t config.Tokens, name, presented string) bool {
	return webhook.Token(presented).Valid(t.Secrets(name), nil)
}

func TestSeveralTokensAreValidAtOnce(t *testing.T) {
	tokens, err := config.ParseTokens(map[string][]byte{"harbor": []byte(oldToken + "\n\n  " + newToken + "\r\n"), "quay": nil})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, token string
		want        bool
	}{
		{"harbor", oldToken, true},
		{"harbor", newToken, true},
		{"harbor", newToken + "x", false},
		{"harbor", "", false},
		{"quay", "", false},
		{"quay", oldToken, false},
		{"absent", oldToken, false},
	} {
		if got := valid(tokens, test.name, test.token); got != test.want {
			t.Errorf("Valid(%q, %q) = %t, want %t", test.name, test.token, got, test.want)
		}
	}
	if valid(config.Tokens{}, "harbor", oldToken) {
		t.Error("no tokens accept one")
	}
}

func TestTokensAreNeverPrinted(t *testing.T) {
	tokens, err := config.ParseTokens(map[string][]byte{"harbor": []byte(oldToken)})
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		if got := fmt.Sprintf(verb, tokens); got != "tokens of 1 registries" {
			t.Errorf("%s prints %q", verb, got)
		}
	}
}

func TestErrorsNameNoToken(t *testing.T) {
	_, err := config.ParseTokens(map[string][]byte{"harbor": []byte("hunter2")})
	if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), `key "harbor", line 1`) {
		t.Errorf("error = %v, want one that names key and line, not the token", err)
	}
}

func configMap(name, key, document string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "revet-system", Name: name}, Data: map[string]string{key: document}}
}

// A broken update keeps the last good one, and says so until it is repaired.
func TestStoreKeepsTheLastGood(t *testing.T) {
	var told []string
	s := config.NewStore("revet-system", func(object string, err error) {
		if err != nil {
			told = append(told, object)
		}
	})
	h := s.Handler()
	good := configMap(config.RegistriesConfigMap, config.RegistriesKey, `[{name: a, host: r.example.com, namespaces: ["*"]}]`)
	allowed := func() bool { _, ok := s.Policy("r.example.com", "shop"); return ok }

	if allowed() {
		t.Fatal("a store that read nothing allows a host")
	}
	h.OnAdd(good, true)
	if !allowed() || len(s.Problems()) != 0 {
		t.Fatalf("allowed = %t with problems %v after a good object", allowed(), s.Problems())
	}
	h.OnUpdate(good, configMap(config.RegistriesConfigMap, config.RegistriesKey, "{"))
	if problems := s.Problems(); !allowed() || len(problems) != 1 || !strings.Contains(problems[0].Error(), "config-registries, key registries.yaml in namespace revet-system") {
		t.Errorf("allowed = %t with problems %v after a broken update; want the last good one and its problem", allowed(), problems)
	}
	h.OnUpdate(good, configMap(config.RegistriesConfigMap, "registry.yaml", "[]"))
	if problems := s.Problems(); !allowed() || len(problems) != 1 || !strings.Contains(problems[0].Error(), `unknown key "registry.yaml"; Revet reads only registries.yaml`) {
		t.Errorf("allowed = %t with problems %v after a misspelt key", allowed(), problems)
	}
	h.OnUpdate(good, good)
	if len(s.Problems()) != 0 {
		t.Errorf("problems %v after the repair", s.Problems())
	}
	other := good.DeepCopy()
	other.Namespace = "shop"
	h.OnDelete(other)
	if !allowed() {
		t.Error("an object of another namespace counts")
	}
	h.OnDelete(cache.DeletedFinalStateUnknown{Obj: good})
	if allowed() {
		t.Error("a deleted object still allows a host")
	}
	if diff := cmp.Diff([]string{config.RegistriesConfigMap, config.RegistriesConfigMap}, told); diff != "" {
		t.Errorf("told of (-want +got):\n%s", diff)
	}
}

func TestStoreReadsSinksAndTokens(t *testing.T) {
	s := config.NewStore("revet-system", nil)
	h := s.Handler()
	h.OnAdd(configMap(config.SinksConfigMap, config.SinksKey, `[{host: el.example.com, namespaces: [shop]}]`), true)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "revet-system", Name: config.TokensSecret}, Data: map[string][]byte{"harbor": []byte(oldToken)}}
	h.OnAdd(secret, true)
	if !s.Sinks().Allows("el.example.com", "shop") || !valid(s.Tokens(), "harbor", oldToken) {
		t.Errorf("sinks %v, tokens for harbor: %t", s.Sinks(), len(s.Tokens().Secrets("harbor")) > 0)
	}
	h.OnDelete(secret)
	if valid(s.Tokens(), "harbor", oldToken) {
		t.Error("a token of a deleted Secret is valid")
	}
}

// Without a list the default holds, and a misspelt one is an error and never "nothing".
func TestExclusionIn(t *testing.T) {
	for _, test := range []struct {
		name string
		data map[string]string
		want config.Exclusion
		ok   bool
	}{
		{"no ConfigMap", nil, config.DefaultExclusion(), true},
		{"an empty list", map[string]string{config.ExcludeKey: "[]"}, config.Exclusion{}, true},
		{"a list", map[string]string{config.ExcludeKey: "- infra\n- infra-*\n"}, config.Exclusion{"infra", "infra-*"}, true},
		{"another key", map[string]string{"excludes.yaml": "[]"}, nil, false},
		{"no list", map[string]string{config.ExcludeKey: "infra: true"}, nil, false},
		{"everything", map[string]string{config.ExcludeKey: "['*']"}, nil, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := config.ExclusionIn(test.data)
			if (err == nil) != test.ok || !slices.Equal(got, test.want) {
				t.Errorf("got %v, %v; want %v", got, err, test.want)
			}
		})
	}
}

// Without a list the default holds, and an empty one is nobody. Names are exact, and none is one
// that anybody may act as.
func TestControllersIn(t *testing.T) {
	const replicaSets = "system:serviceaccount:kube-system:replicaset-controller"
	many := strings.Repeat("- a\n", 33)
	for _, test := range []struct {
		name, list string
		want       config.Controllers
		wrong      string
	}{
		{"an empty list", "[]", config.Controllers{}, ""},
		{"a list", "- system:kube-controller-manager\n- " + replicaSets + "\n- " + replicaSets, config.Controllers{"system:kube-controller-manager", replicaSets}, ""},
		{"no list", "a: b", nil, "expected a list"},
		{"a beginning", "- system:serviceaccount:kube-system:*", nil, "write each name in full"},
		{"everybody", "- '*'", nil, "write each name in full"},
		{"nobody", "- ''", nil, "no name of a user"},
		{"two lines", `- "a\nb"`, nil, "no name of a user"},
		{"a deployer", "- system:serviceaccount:shop:deployer", nil, "whoever may edit its namespace"},
		{"many", many, nil, "at most 32"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := config.ControllersIn(map[string]string{config.ControllersKey: test.list, config.ExcludeKey: "[]", "_note": "x"})
			if test.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), test.wrong) {
					t.Errorf("error = %v, want one that says %q", err, test.wrong)
				}
				return
			}
			if diff := cmp.Diff(test.want, got); diff != "" || err != nil {
				t.Errorf("error %v (-want +got):\n%s", err, diff)
			}
		})
	}
	if got, err := config.ControllersIn(map[string]string{config.ExcludeKey: "[]"}); got != nil || err != nil {
		t.Errorf("without a list: %v, %v", got, err)
	}
}

// A ConfigMap may have each of its keys, and no other: the error says which it knows. Of two keys
// both count or none does.
func TestKeysOfTheGatesConfiguration(t *testing.T) {
	var problem error
	s := config.NewStore("revet-system", func(_ string, err error) { problem = err })
	observe := func(data map[string]string) {
		m := configMap(config.GateConfigMap, "", "")
		m.Data = data
		s.Handler().OnUpdate(nil, m)
	}
	observe(map[string]string{config.ExcludeKey: "[infra]", config.ControllersKey: "[a]"})
	if got := fmt.Sprint(s.Exclusion(), s.Controllers(), problem); got != "[infra] [a] <nil>" {
		t.Errorf("with both keys: %s", got)
	}
	for _, test := range []struct {
		data map[string]string
		want string
	}{
		{map[string]string{config.ExcludeKey: "[other]", "controller.yaml": "[b]"}, `unknown key "controller.yaml"; Revet reads only exclude.yaml and controllers.yaml`},
		{map[string]string{config.ExcludeKey: "[other]", config.ControllersKey: "['*']"}, "key controllers.yaml"},
		{map[string]string{config.ExcludeKey: "['*']", config.ControllersKey: "[b]"}, "key exclude.yaml"},
	} {
		observe(test.data)
		if problem == nil || !strings.Contains(problem.Error(), test.want) {
			t.Errorf("%v: error %v, want %q", test.data, problem, test.want)
		}
		if got := fmt.Sprint(s.Exclusion(), s.Controllers()); got != "[infra] [a]" {
			t.Errorf("%v: in force is %s", test.data, got)
		}
	}
	observe(nil)
	if s.Controllers() != nil || problem != nil {
		t.Errorf("without keys: %v, %v", s.Controllers(), problem)
	}
}

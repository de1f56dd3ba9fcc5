package gate

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/ext"
	"github.com/google/go-cmp/cmp"
)

var (
	hexA = strings.Repeat("a", 64)
	long = strings.Repeat("a", 256)
)

// names are references and what they normalise to; "" where they are refused.
var names = map[string]string{
	"nginx":                                      "docker.io/library/nginx:latest",
	"nginx:1.27":                                 "docker.io/library/nginx:1.27",
	"team/app":                                   "docker.io/team/app:latest",
	"docker.io/nginx":                            "docker.io/library/nginx:latest",
	"docker.io/nginx:1":                          "docker.io/library/nginx:1",
	"docker.io/team/app":                         "docker.io/team/app:latest",
	"index.docker.io/nginx":                      "docker.io/library/nginx:latest",
	"index.docker.io/team/app:1":                 "docker.io/team/app:1",
	"localhost/app":                              "localhost/app:latest",
	"localhost:5000/app":                         "localhost:5000/app:latest",
	"host:5000/app:1":                            "host:5000/app:1",
	"host:5000":                                  "docker.io/library/host:5000",
	"r.example/a/b/c":                            "r.example/a/b/c:latest",
	"[::1]:5000/app":                             "[::1]:5000/app:latest",
	"r.example/a__b/c--d:T_.-":                   "r.example/a__b/c--d:T_.-",
	"nginx@sha256:" + hexA:                       "docker.io/library/nginx@sha256:" + hexA,
	"r.example/a:1@sha256:" + hexA:               "r.example/a:1@sha256:" + hexA,
	"registry-1.docker.io/library/nginx":         "registry-1.docker.io/library/nginx:latest",
	"index.docker.io.evil.example/nginx":         "index.docker.io.evil.example/nginx:latest",
	"indexxdocker.io/nginx":                      "indexxdocker.io/nginx:latest",
	"sha256/app":                                 "docker.io/sha256/app:latest",
	"r.example/sha256:" + hexA:                   "r.example/sha256:" + hexA,
	"r.example/" + long[:200] + ":" + long[:128]: "r.example/" + long[:200] + ":" + long[:128],

	"":                                   "",
	"\x20nginx":                          "",
	"nginx\n":                            "",
	"Nginx":                              "",
	"team/App":                           "",
	"R.example/app":                      "",
	"LOCALHOST/app":                      "",
	"Team/app":                           "",
	"nginx:":                             "",
	"nginx:-1":                           "",
	"nginx:1:2":                          "",
	"nginx:" + long[:129]:                "",
	"/nginx":                             "",
	"r.example/":                         "",
	"r.example//a":                       "",
	"r.example/a/":                       "",
	"r.example:port/a":                   "",
	"r.example:123456/a":                 "",
	"r_x.example/a":                      "",
	"-r.example/a":                       "",
	"a..b/c":                             "",
	"a___b":                              "",
	"http://r.example/a":                 "",
	"docker://nginx":                     "",
	"r.example/" + long + long:           "",
	hexA:                                 "",
	"sha256:" + hexA:                     "",
	"sha512:aa":                          "",
	"sha256:1/app":                       "",
	"sha256:" + hexA + "@sha256:" + hexA: "",
	"nginx@sha256:" + hexA[1:]:           "",
	"nginx@sha256:" + hexA + "a":         "",
	"nginx@sha256:" + strings.Repeat("A", 64):  "",
	"nginx@sha512:" + hexA + hexA:              "",
	"nginx@sha256:" + hexA + "@sha256:" + hexA: "",
	"nginx@":                      "",
	"@sha256:" + hexA:             "",
	"nginx@sha256:" + hexA + "\n": "",
	"nginx:1@":                    "",
	"ngínx":                       "",
	"nginx\x00":                   "",
	"nginx\xff":                   "",
}

func TestNormalize(t *testing.T) {
	for image, want := range names {
		n, err := Normalize(image)
		if got := n.String(); got != want || (err == nil) != (want != "") {
			t.Errorf("%q is %q, %v, want %q", image, got, err, want)
		}
	}
	want := Name{Repository: "docker.io/library/nginx", Tag: "1", Digest: hexA}
	if got, err := Normalize("nginx:1@sha256:" + hexA); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

// program compiles CEL with the functions and the strictness of the API server's environment.
func program(t testing.TB, expression string) func(image string) any {
	t.Helper()
	env, err := cel.NewEnv(cel.OptionalTypes(), cel.HomogeneousAggregateLiterals(), ext.Strings(ext.StringsVersion(2)),
		cel.Variable("image", cel.DynType))
	if err != nil {
		t.Fatal(err)
	}
	ast, issues := env.Compile(expression)
	if issues.Err() != nil {
		t.Fatal(issues.Err())
	}
	p, err := env.Program(ast, cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		t.Fatal(err)
	}
	return func(image string) any {
		out, _, err := p.Eval(map[string]any{"image": image})
		if err != nil {
			t.Errorf("%q: %v", image, err)
			return nil
		}
		return out.Value()
	}
}

// agree compares what Go and CEL make of a reference.
func agree(t testing.TB, celName, celHex, celTag func(string) any, image string) {
	t.Helper()
	n, err := Normalize(image)
	if err == nil && !strings.Contains(image, "@") != (n.Digest == "") {
		t.Errorf("%q has digest %q", image, n.Digest)
	}
	if got := celName(image); got != n.String() {
		t.Errorf("%q is %q in Go and %q in CEL", image, n.String(), got)
	}
	// The digest decides without the name, so CEL tells it for names that are refused, too.
	if got := celHex(image); err == nil && got != n.Digest {
		t.Errorf("%q has digest %q in Go and %q in CEL", image, n.Digest, got)
	}
	if got := celTag(image); n.Digest == "" && got != n.String() {
		t.Errorf("%q is %q in Go and %q in celNormalize", image, n.String(), got)
	}
}

func normalizers(t testing.TB) (name, hex, tag func(string) any) {
	t.Helper()
	return program(t, celReferences("[image]")+"[0].name"), program(t, celReferences("[image]")+"[0].hex"),
		program(t, celNormalize("image"))
}

// random makes references out of the parts at which rules differ.
func random(r *rand.Rand) string {
	parts := []string{"a", "b1", "nginx", "library", "docker.io", "index.docker.io", "localhost", "r.example", "R", ":", ":5000", ":1", "/", "/", ".",
		"..", "-", "--", "_", "__", "___", "@", "@sha256:" + hexA, "@sha256:" + hexA[1:], "@sha512:" + hexA, hexA, "sha256:", "[::1]", " ", "\n", "é", "latest", "*"}
	var b strings.Builder
	for range 1 + r.IntN(7) {
		b.WriteString(parts[r.IntN(len(parts))])
	}
	return b.String()
}

// The policies conclude from names what Revet's programs do.
func TestCELNormalizesAsGoDoes(t *testing.T) {
	name, hex, tag := normalizers(t)
	for image := range names {
		agree(t, name, hex, tag, strings.ToValidUTF8(image, "?"))
	}
	valid := 0
	r := rand.New(rand.NewPCG(1, 2))
	for range 5_000 {
		image := random(r)
		if _, err := Normalize(image); err == nil {
			valid++
		}
		agree(t, name, hex, tag, image)
	}
	if valid < 300 {
		t.Errorf("only %d of the random references are valid: the test compares too little", valid)
	}
}

// A condition that spares a Pod the validations takes no name for plain that they refuse.
func TestPlainNamesAreValid(t *testing.T) {
	isPlain := program(t, "[image].exists(i, "+plain+")")
	plains := 0
	check := func(image string) {
		image = strings.ToValidUTF8(image, "?")
		n, err := Normalize(image)
		if isPlain(image) != true {
			return
		}
		plains++
		if err != nil || n.Digest == "" {
			t.Errorf("%q is plain, and %+v, %v", image, n, err)
		}
	}
	for image := range names {
		check(image)
		check(image + "@sha256:" + hexA)
	}
	r := rand.New(rand.NewPCG(7, 8))
	for range 150_000 {
		check(random(r) + "@sha256:" + hexA)
	}
	if plains < 300 {
		t.Errorf("only %d were plain: the test compares too little", plains)
	}
	for _, image := range []string{"r.example/team/app", "r.example:5000/app:1", "team/app", "docker.io/library/nginx:1.27"} {
		if isPlain(image+"@sha256:"+hexA) != true {
			t.Errorf("%s with a digest is not plain: Pods with it cost more", image)
		}
	}
}

func FuzzCELNormalizesAsGoDoes(f *testing.F) {
	for image := range names {
		f.Add(image)
	}
	name, hex, tag := normalizers(f)
	f.Fuzz(func(t *testing.T, image string) {
		// JSON carries nothing else.
		agree(t, name, hex, tag, strings.ToValidUTF8(image, "?"))
	})
}

// patterns are patterns, and which names they match.
var patterns = []struct {
	pattern string
	match   []string
	not     []string
}{
	{"registry.k8s.io/**",
		[]string{"registry.k8s.io/pause:3.10", "registry.k8s.io/a/b/c", "registry.k8s.io/pause@sha256:" + hexA, "registry.k8s.io/pause:1@sha256:" + hexA},
		[]string{"evil.example/registry.k8s.io/x", "registryxk8s.io/x", "registry.k8s.io.evil.example/x", "registry.k8s.io:443/x", "xregistry.k8s.io/x", "registry.k8s.io"}},
	{"docker.io/library/*", []string{"nginx", "docker.io/nginx:1", "index.docker.io/library/nginx"}, []string{"team/nginx", "r.example/library/nginx", "sha256:" + hexA, hexA}},
	{"r.example/team/*", []string{"r.example/team/a"}, []string{"r.example/team/a/b", "r.example/team2/a"}},
	{"r.example/team/app", []string{"r.example/team/app:1", "r.example/team/app"}, []string{"r.example/team/app2", "r.example/team/app/x", "r.example/team"}},
	{"r.example/app:v1", []string{"r.example/app:v1"}, []string{"r.example/app:v10", "r.example/app:v1@sha256:" + hexA, "r.example/app"}},
	{"r.example/app:latest", []string{"r.example/app"}, []string{"r.example/app@sha256:" + hexA}},
	{"r.example/app:*", []string{"r.example/app", "r.example/app:x"}, []string{"r.example/app@sha256:" + hexA, "r.example/app:x@sha256:" + hexA}},
	{"r.example/a-*-b", []string{"r.example/a-x-b:1"}, []string{"r.example/a-x:1-b", "r.example/a-x@sha256:" + hexA}},
	{"r.example/**/app", []string{"r.example/app", "r.example/a/b/app"}, []string{"r.example/xapp", "r.example/app/x"}},
	{"r.example/a/**", []string{"r.example/a", "r.example/a/b"}, []string{"r.example/ab"}},
	{"r.example:5000/ap?", []string{"r.example:5000/app"}, []string{"r.example:5000/ap", "r.example/app", "r.example:5000/apps"}},
	{"r.example/a.b", []string{"r.example/a.b"}, []string{"r.example/axb"}},
	{"localhost/**", []string{"localhost/app"}, []string{"localhost:5000/app", "docker.io/localhost/app"}},
}

func TestPatternsAreAnchored(t *testing.T) {
	for _, p := range patterns {
		pattern, err := ParsePattern(p.pattern)
		if err != nil {
			t.Errorf("%s: %v", p.pattern, err)
			continue
		}
		matches := program(t, celReferences("[image]")+".exists(r, r.name != '' && "+pattern.cel()+")")
		check := func(image string, want bool) {
			n, err := Normalize(image)
			if got := err == nil && pattern.Match(n); got != want {
				t.Errorf("%s matches %s: %t, want %t", p.pattern, image, got, want)
			}
			if got := matches(image); got != want {
				t.Errorf("%s matches %s in CEL: %v, want %t", p.pattern, image, got, want)
			}
		}
		for _, image := range p.match {
			check(image, true)
		}
		for _, image := range p.not {
			check(image, false)
		}
	}
}

func TestParsePatternRefusesWhatCannotBeMeant(t *testing.T) {
	for _, pattern := range []string{
		"", "*", "**", "nginx", "*.example/app", "*/**", "library/nginx", "index.docker.io/library/nginx", "R.example/app",
		"r.example/", "r.example//a", "r.example/a**", "r.example/[a]", `r.example/a'b`, `r.example/a"b`, `r.example/a\b`, "r.example/a:", "r.example/a:b/c",
		"r.example/a@sha256:" + hexA, "r.example/a b", "r.example/é", ".example/a",
	} {
		if p, err := ParsePattern(pattern); err == nil {
			t.Errorf("%q is taken as %+v", pattern, p)
		}
	}
	if (Pattern{}).Match(Name{Repository: "r.example/a", Tag: "1"}) {
		t.Error("the zero value matches")
	}
	if diff := cmp.Diff([]string{"r.example/team", "r.example/team", "r.example/team/app", "r.example/te"},
		[]string{literal("r.example/team/**"), literal("r.example/team/*"), literal("r.example/team/app"), literal("r.example/te?m")}); diff != "" {
		t.Errorf("literals (-want +got):\n%s", diff)
	}
}

// Random patterns conclude the same of random names in Go and in CEL.
func TestCELMatchesAsGoDoes(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	matched := 0
	for range 200 {
		text := pick("r.example", "docker.io", "r.example:5000")
		for range 1 + r.IntN(3) {
			text += "/" + pick("a", "b", "*", "**", "a*", "*b", "?", "library")
		}
		text += pick("", "", ":1", ":*", ":v?")
		pattern, err := ParsePattern(text)
		if err != nil {
			t.Fatal(err)
		}
		matches := program(t, celReferences("[image]")+".exists(r, r.name != '' && "+pattern.cel()+")")
		for range 40 {
			image := pick("r.example/", "docker.io/", "r.example:5000/", "") + pick("a", "b", "ab", "library")
			for range r.IntN(3) {
				image += "/" + pick("a", "b", "ab", "x")
			}
			image += pick("", ":1", ":v2", "@sha256:"+hexA, ":1@sha256:"+hexA)
			n, err := Normalize(image)
			want := err == nil && pattern.Match(n)
			if want {
				matched++
			}
			if got := matches(image); got != want {
				t.Errorf("%s matches %s: %t in Go, %v in CEL", text, image, want, got)
			}
		}
	}
	if matched < 200 {
		t.Errorf("only %d matched: the test compares too little", matched)
	}
}

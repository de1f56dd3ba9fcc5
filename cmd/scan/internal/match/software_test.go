package match_test

import (
	"debug/buildinfo"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/revet-dev/revet/cmd/scan/internal/sample"
)

// Software without a distribution is found by what its package managers leave.
func TestSoftware(t *testing.T) {
	gemspec := "Gem::Specification.new do |s|\n  s.name = \"rack\".freeze\n  s.version = \"2.2.3\"\nend\n"
	manifest := func(lines ...string) string {
		return sample.Zip(t, sample.Files{"META-INF/MANIFEST.MF": "Manifest-Version: 1.0\n" + strings.Join(lines, "\n") + "\n", "A.class": "x"})
	}
	deps := `{"runtimeTarget":{"name":".NETCoreApp,Version=v6.0"},"targets":{".NETCoreApp,Version=v6.0":{"app/1.0.0":{"dependencies":{"Newtonsoft.Json":"12.0.1"},"runtime":{"app.dll":{}}},
		"Newtonsoft.Json/12.0.1":{"runtime":{"lib/netstandard2.0/Newtonsoft.Json.dll":{"assemblyVersion":"12.0.0.0","fileVersion":"12.0.1.0"}}}}},
		"libraries":{"app/1.0.0":{"type":"project","serviceable":false,"sha512":""},"Newtonsoft.Json/12.0.1":{"type":"package","serviceable":true,"sha512":"sha512-x","path":"newtonsoft.json/12.0.1"}}}`
	run(t, []scanTest{
		{"a gem", sample.Files{"usr/lib/ruby/gems/3.0.0/specifications/rack-2.2.3.gemspec": gemspec}, []sample.Record{language("GHSA-1", "gem", "rack", "2.2.4", "gem")},
			[]string{"GHSA-1 rack 2.2.3 high fix 2.2.4"}},
		{"Composer's list", sample.Files{"app/vendor/composer/installed.json": `{"packages":[{"name":"guzzlehttp/guzzle","version":"7.4.0","version_normalized":"7.4.0.0"}]}`},
			[]sample.Record{language("GHSA-1", "php-composer", "guzzlehttp/guzzle", "7.4.5", "semver")}, []string{"GHSA-1 guzzlehttp/guzzle 7.4.0 high fix 7.4.5"}},
		{".NET's", sample.Files{"app/app.deps.json": deps}, []sample.Record{language("GHSA-1", "dotnet", "Newtonsoft.Json", "13.0.1", "semver"), language("GHSA-2", "dotnet", "other", "1", "semver")},
			[]string{"GHSA-1 Newtonsoft.Json 12.0.1 high fix 13.0.1"}},
		{"Spring without pom.properties", sample.Files{"app/lib/spring-core-5.3.17.jar": manifest("Implementation-Title: spring-core", "Implementation-Version: 5.3.17", "Automatic-Module-Name: spring.core")},
			[]sample.Record{language("GHSA-1", "java-archive", "org.springframework:spring-core", "5.3.18", "maven")}, []string{"GHSA-1 spring-core 5.3.17 high fix 5.3.18"}},
		{"Tomcat without pom.properties", sample.Files{"opt/tomcat/lib/tomcat-coyote.jar": manifest("Implementation-Title: Apache Tomcat", "Implementation-Version: 9.0.50", "Implementation-Vendor: Apache Software Foundation", "Bundle-SymbolicName: org.apache.tomcat-coyote", "Bundle-Version: 9.0.50")},
			[]sample.Record{language("GHSA-1", "java-archive", "org.apache.tomcat:tomcat-coyote", "9.0.68", "maven")}, []string{"GHSA-1 tomcat-coyote 9.0.50 high fix 9.0.68"}},
		{"npm's", npm("lodash", "4.17.20"), []sample.Record{language("GHSA-1", "npm", "lodash", "4.17.21", "semver")}, []string{"GHSA-1 lodash 4.17.20 high fix 4.17.21"}},
		{"Python's", python("urllib3", "1.26.12"), []sample.Record{language("GHSA-1", "python", "urllib3", "1.26.17", "python")}, []string{"GHSA-1 urllib3 1.26.12 high fix 1.26.17"}},
		{"an interpreter, by the name that the NVD has for it", sample.Files{"usr/local/bin/python3.9": elf("python3.9\x00\x003.9.1\x00\x00")},
			[]sample.Record{{ID: "CVE-1", Provider: "nvd", CPE: "cpe:2.3:a:python_software_foundation:python:*:*:*:*:*:*:*:*", Below: "3.9.2", Severity: "high"}},
			[]string{"CVE-1 python 3.9.1 high fix 3.9.2"}},
		{"an interpreter, and no records of the NVD", sample.Files{"usr/local/bin/python3.9": elf("python3.9\x00\x003.9.1\x00\x00")},
			[]sample.Record{language("GHSA-1", "npm", "lodash", "1", "semver")}, []string{"gap uncovered-packages generic 1 python@3.9.1"}},
	})
}

// elf is a program that is no more than a header, and what comes behind it.
func elf(behind string) string {
	header := make([]byte, 64)
	copy(header, "\x7fELF\x02\x01\x01")
	header[16], header[18], header[20] = 2, 62, 1   // a program, for amd64
	header[52], header[54], header[58] = 64, 56, 64 // the sizes of headers
	return string(header) + behind
}

// Malware fails an image whatever version is asked for.
func TestMalware(t *testing.T) {
	mal := func(kind, name, below, format string) []sample.Record {
		return []sample.Record{{ID: "MAL-2026-1", Provider: "malware", Type: kind, Name: name, Below: below, Format: format}}
	}
	run(t, []scanTest{
		{"every version", npm("evil", "1.0.0"), mal("npm", "evil", "", "semver"), []string{"MAL-2026-1 evil 1.0.0 critical malware"}},
		{"another version", npm("evil", "3.0.0"), mal("npm", "evil", "2.0.0", "semver"), nil},
		{"Python's", python("evil", "1.0"), mal("python", "evil", "", "python"), []string{"MAL-2026-1 evil 1.0 critical malware"}},
		{"without a version", sample.Files{"srv/node_modules/evil/package.json": `{"name":"evil"}`}, mal("npm", "evil", "", "semver"),
			[]string{"MAL-2026-1 evil UNKNOWN critical malware", "gap uncompared-packages npm 1 evil@UNKNOWN"}},
		{"private by its own word", sample.Files{"srv/package.json": `{"name":"evil","version":"1.0.0","private":true}`}, mal("npm", "evil", "", "semver"), nil},
	})
}

// program compiles a Go program that needs a module with a known vulnerability.
func program(t *testing.T, flags ...string) string {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{
		"go.mod":  "module example.com/own\n\ngo 1.26\n\nrequire golang.org/x/text v0.43.0\n",
		"main.go": "package main\n\nimport \"golang.org/x/text/language\"\n\nfunc main() { println(language.English.String()) }\n",
		"go.sum":  sums(t, "golang.org/x/text v0.43.0"),
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(dir, "app")
	cmd := exec.CommandContext(t.Context(), "go", append(append([]string{"build"}, flags...), "-o", out, ".")...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GOFLAGS=-trimpath -buildvcs=false -mod=mod")
	if raw, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	if _, err := buildinfo.ReadFile(out); err != nil {
		t.Fatal(err)
	}
	return sample.Read(t, out)
}

// sums are the lines of this module's go.sum about another one.
func sums(t *testing.T, module string) string {
	t.Helper()
	var all []string
	for line := range strings.Lines(sample.Read(t, "../../go.sum")) {
		if strings.HasPrefix(line, module) {
			all = append(all, line)
		}
	}
	if len(all) == 0 {
		t.Fatalf("go.sum names no %s", module)
	}
	return strings.Join(all, "")
}

// Go programs are found by what Go links into them; one that hides it is told.
func TestGoPrograms(t *testing.T) {
	app := program(t, "-ldflags=-s -w")
	records := []sample.Record{language("GO-1", "go-module", "golang.org/x/text", "0.99.0", "go"), language("GO-2", "go-module", "stdlib", "1.999.0", "go")}
	found := []string{"GO-1 golang.org/x/text v0.43.0 high fix 0.99.0", "GO-2 stdlib " + toolchain(t, app) + " high fix 1.999.0"}
	hidden := strings.Replace(app, "\xff Go buildinf:", "\xff No buildinf:", 1)
	devel := strings.ReplaceAll(app, toolchain(t, app), "devel +12345678"[:len(toolchain(t, app))])
	run(t, []scanTest{
		{"as linked", sample.Files{"app": app}, records, found},
		{"of which there are records of itself", sample.Files{"app": app}, append(records, language("GO-3", "go-module", "example.com/own", "1.0.0", "go")),
			append(found, "gap uncompared-packages golang 1 example.com/own@UNKNOWN")},
		{"without its list of modules", sample.Files{"app": hidden}, records, []string{"gap no-packages  1 ", "gap unread-files go program 1 app"}},
		{"packed", sample.Files{"app": app[:64] + "UPX!" + hidden[68:]}, records, []string{"gap no-packages  1 ", "gap unread-files packed program 1 app"}},
		{"of a toolchain that is no release", sample.Files{"app": devel}, records,
			[]string{"GO-1 golang.org/x/text v0.43.0 high fix 0.99.0", "gap uncompared-packages stdlib 2 stdlib@devel"}},
	})
}

func toolchain(t *testing.T, app string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "app")
	if err := os.WriteFile(path, []byte(app), 0o600); err != nil {
		t.Fatal(err)
	}
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.GoVersion
}

//go:build rootfs

package rootfs

import (
	"bytes"
	"compress/zlib"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const advisories = "GitHub's advisory database"

func systems() []system {
	return append(distributions(), java(), python(), node(), ruby(), php(), dotnet(), rust(), golang(), plainRust())
}

// unpack unpacks packages of Debian's without the database: software of nobody's.
func unpack(t *testing.T, dir string, packages ...string) {
	t.Helper()
	debs := t.TempDir()
	output(t, debs, "apt-get", append([]string{"download", "-q", "-o", "APT::Sandbox::User=root"}, packages...)...)
	all, err := filepath.Glob(filepath.Join(debs, "*.deb"))
	if err != nil || len(all) != len(packages) {
		t.Fatalf("of %d packages, %d were downloaded, error %v", len(packages), len(all), err)
	}
	for _, deb := range all {
		run(t, "dpkg-deb", "-x", deb, dir)
	}
}

// java has archives under the names that Maven gives them; Debian renames some.
func java() system {
	const m = "Maven"
	return system{name: "java", make: func(t *testing.T, dir string) {
		from := t.TempDir()
		unpack(t, from, "libspring-core-java", "libspring-web-java", "liblog4j2-java", "libtomcat9-java", "libcommons-text-java", "libjackson2-databind-java")
		for _, pattern := range []string{"spring-core-4*.jar", "spring-web-4*.jar", "log4j-core-2.*.jar", "tomcat-catalina-9.0.*.jar", "commons-text-1.*.*.jar", "jackson-databind-2.*.*.jar"} {
			found := strings.Fields(output(t, from, "find", "usr/share/maven-repo", "-name", pattern))
			if len(found) == 0 {
				t.Fatalf("there is no %s", pattern)
			}
			copyFile(t, filepath.Join(from, found[0]), filepath.Join(dir, "app", "lib", filepath.Base(found[0])))
		}
	}, expect: []expectation{
		{"GHSA-hh26-6xwr-ggv7", m, "org.springframework:spring-core", "5.2.22.RELEASE", []string{"spring-core 4.3.30.RELEASE"}, advisories + ": CVE-2022-22970"},
		{"GHSA-4wrc-f8pq-fpqp", m, "org.springframework:spring-web", "6.0.0", []string{"spring-web 4.3.30.RELEASE"}, advisories + ": CVE-2016-1000027"},
		{"GHSA-jfh8-c2jp-5v3q", m, "org.apache.logging.log4j:log4j-core", "2.15.0", nil, advisories + ": CVE-2021-44228, fixed"},
		{"EDGE-log4j", m, "org.apache.logging.log4j:log4j-core", "2.19.1", []string{"log4j-core 2.19.0"}, "Maven's order of versions"},
		{"EDGE-log4j-beta", m, "org.apache.logging.log4j:log4j-core", "2.19.0-beta1", nil, "Maven's order of versions: a beta is before"},
		{"GHSA-2c9m-w27f-53rm", m, "org.apache.tomcat:tomcat-catalina", "9.0.72", []string{"tomcat-catalina 9.0.70"}, advisories + ": CVE-2023-28708"},
		{"GHSA-599f-7c49-w659", m, "org.apache.commons:commons-text", "1.10.0", nil, advisories + ": CVE-2022-42889, the version itself"},
		{"GHSA-jjjh-jjxp-wpff", m, "com.fasterxml.jackson.core:jackson-databind", "2.13.4.2", nil, advisories + ": CVE-2022-42003, fixed"},
		{"EDGE-jackson", m, "com.fasterxml.jackson.core:jackson-databind", "2.14.0.1", []string{"jackson-databind 2.14.0"}, "Maven's order of versions"},
	}}
}

func python() system {
	const p = "PyPI"
	return system{name: "python", make: func(t *testing.T, dir string) {
		unpack(t, dir, "python3-urllib3", "python3-jinja2", "python3-requests", "python3-cryptography")
	}, expect: []expectation{
		{"GHSA-v845-jxx5-vc9f", p, "urllib3", "1.26.17", []string{"urllib3 1.26.12"}, advisories + ": CVE-2023-43804"},
		{"GHSA-q2q7-5pp4-w6pg", p, "urllib3", "1.26.5", nil, advisories + ": CVE-2021-33503, fixed"},
		{"EDGE-candidate", p, "urllib3", "1.26.12rc1", nil, "PEP 440: a candidate is before"},
		{"EDGE-post", p, "urllib3", "1.26.12.post1", []string{"urllib3 1.26.12"}, "PEP 440: a post-release is after"},
		{"GHSA-h5c8-rqwp-cp95", p, "jinja2", "3.1.3", []string{"jinja2 3.1.2"}, advisories + ": CVE-2024-22195; names are compared without case"},
		{"GHSA-j8r2-6x86-q33q", p, "requests", "2.31.0", []string{"requests 2.28.1"}, advisories + ": CVE-2023-32681"},
		{"GHSA-w7pp-m8wf-vj6r", p, "cryptography", "39.0.1", []string{"cryptography 38.0.4"}, advisories + ": CVE-2023-23931"},
		{"GHSA-39hc-v87j-747x", p, "cryptography", "38.0.3", nil, advisories + ": CVE-2022-3602, fixed"},
	}}
}

func node() system {
	const n = "npm"
	return system{name: "node", make: func(t *testing.T, dir string) {
		write(t, filepath.Join(dir, "srv", "package.json"), `{"name":"shop","version":"1.0.0","private":true}`)
		output(t, filepath.Join(dir, "srv"), "npm", "install", "--silent", "--ignore-scripts",
			"lodash@4.17.20", "minimist@0.0.8", "semver@7.5.2", "ws@8.17.1", "@babel/traverse@7.23.0", "qs@6.5.3", "json5@2.2.2")
	}, expect: []expectation{
		{"GHSA-35jh-r3h4-6jhm", n, "lodash", "4.17.21", []string{"lodash 4.17.20"}, advisories + ": CVE-2021-23337"},
		{"GHSA-vh95-rmgr-6w4m", n, "minimist", "0.2.1", []string{"minimist 0.0.8"}, advisories + ": CVE-2020-7598"},
		{"GHSA-67hx-6x53-jw92", n, "@babel/traverse", "7.23.2", []string{"@babel/traverse 7.23.0"}, advisories + ": CVE-2023-45133; a scope"},
		{"GHSA-c2qf-rxjj-qqgw", n, "semver", "7.5.2", nil, advisories + ": CVE-2022-25883, the version itself"},
		{"GHSA-3h5v-q93c-6h6q", n, "ws", "8.17.1", nil, advisories + ": CVE-2024-37890, the version itself"},
		{"GHSA-hrpp-h998-j3pp", n, "qs", "6.5.3", nil, advisories + ": CVE-2022-24999, the version itself"},
		{"EDGE-candidate", n, "lodash", "4.17.20-rc.1", nil, "semver: a pre-release is before"},
		{"EDGE-traverse", n, "traverse", "99.0.0", nil, "another package than the scoped one"},
		{"EDGE-private", n, "shop", "99.0.0", nil, "a private package is none of the registry's"},
	}}
}

func ruby() system {
	const r, order = "RubyGems", "Gem::Version's order"
	return system{name: "ruby", make: func(t *testing.T, dir string) {
		unpack(t, dir, "ruby-rack", "ruby-nokogiri", "ruby-sinatra")
	}, expect: []expectation{
		{"GHSA-pxvg-2qj5-37jw", r, "nokogiri", "1.14.3", []string{"nokogiri 1.13.10"}, advisories},
		{"GHSA-hxx2-7vcw-mqr3", r, "sinatra", "4.1.0", []string{"sinatra 3.0.5"}, advisories + ": CVE-2024-21510"},
		{"GHSA-2x8x-jmrp-phxw", r, "sinatra", "3.0.4", nil, advisories + ": CVE-2022-45442, fixed"},
		{"GHSA-wq4h-7r42-5hrr", r, "rack", "2.2.3.1", nil, advisories + ": CVE-2022-30123, fixed"},
		{"EDGE-candidate", r, "sinatra", "3.0.5.rc1", nil, order + ": letters are before"},
		{"EDGE-fourth", r, "sinatra", "3.0.5.1", []string{"sinatra 3.0.5"}, order},
	}}
}

// php is Composer's list; Debian's packages of PHP have none.
func php() system {
	const p = "Packagist"
	return system{name: "php", make: func(t *testing.T, dir string) {
		write(t, filepath.Join(dir, "app/vendor/composer/installed.json"), `{"packages":[
			{"name":"guzzlehttp/psr7","version":"1.8.3","version_normalized":"1.8.3.0","type":"library"},
			{"name":"twig/twig","version":"v3.4.2","version_normalized":"3.4.2.0","type":"library"},
			{"name":"symfony/http-kernel","version":"v5.4.20","version_normalized":"5.4.20.0","type":"library"},
			{"name":"shop/own","version":"dev-main","type":"project"}],"dev":false}`)
	}, expect: []expectation{
		{"GHSA-q7rv-6hp3-vh96", p, "guzzlehttp/psr7", "1.8.4", []string{"guzzlehttp/psr7 1.8.3"}, advisories + ": CVE-2022-24775"},
		{"GHSA-52m2-vc4m-jj33", p, "twig/twig", "3.4.3", []string{"twig/twig v3.4.2"}, advisories + ": CVE-2022-39261; a version with a v"},
		{"GHSA-h7vf-5wrv-9fhv", p, "symfony/http-kernel", "5.4.20", nil, advisories + ": CVE-2022-24894, the version itself"},
	}}
}

// dotnet has what a build lists, from Syft's own tests.
func dotnet() system {
	const n = "NuGet"
	return system{name: "dotnet", make: func(t *testing.T, dir string) {
		copyFile(t, filepath.Join(module(t, "github.com/anchore/syft"), "syft/pkg/cataloger/dotnet/testdata/dir-example-1/TestLibrary.deps.json"),
			filepath.Join(dir, "app", "TestLibrary.deps.json"))
	}, expect: []expectation{
		{"GHSA-5crp-9r3c-p9vr", n, "Newtonsoft.Json", "13.0.1", nil, advisories + ": the version itself"},
		{"EDGE-json", n, "Newtonsoft.Json", "13.0.2", []string{"Newtonsoft.Json 13.0.1"}, "the file lists 13.0.1"},
		{"EDGE-case", n, "serilog", "2.10.1", []string{"Serilog 2.10.0"}, "names are compared without case"},
		{"EDGE-candidate", n, "Serilog", "2.10.0-rc.1", nil, "a pre-release is before"},
	}}
}

// rust is a program with the list that cargo-auditable puts into programs.
func rust() system {
	const c = "crates.io"
	return system{name: "rust", make: func(t *testing.T, dir string) {
		source := t.TempDir()
		write(t, filepath.Join(source, "main.rs"), "fn main() { println!(\"shop\"); }\n")
		output(t, source, "rustc", "-o", "shop", "main.rs")
		var packed bytes.Buffer
		z := zlib.NewWriter(&packed)
		if _, err := z.Write([]byte(`{"packages":[{"name":"regex","version":"1.5.4","source":"crates.io"},{"name":"shop","version":"0.1.0","source":"local","dependencies":[0,2,3],"root":true},` +
			`{"name":"smallvec","version":"1.6.1","source":"crates.io"},{"name":"time","version":"0.1.43","source":"crates.io"}]}`)); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(source, "list"), packed.String())
		output(t, source, "objcopy", "--add-section", ".dep-v0=list", "--set-section-flags", ".dep-v0=noload,readonly", "shop")
		copyFile(t, filepath.Join(source, "shop"), filepath.Join(dir, "usr/local/bin/shop"))
		if err := os.Chmod(filepath.Join(dir, "usr/local/bin/shop"), 0o755); err != nil { //nolint:gosec // a program
			t.Fatal(err)
		}
	}, expect: []expectation{
		{"GHSA-m5pq-gvj9-9vr8", c, "regex", "1.5.5", []string{"regex 1.5.4"}, advisories + ": CVE-2022-24713"},
		{"GHSA-wcg3-cvx6-7396", c, "time", "0.2.23", []string{"time 0.1.43"}, advisories + ": CVE-2020-26235"},
		{"GHSA-43w2-9j62-hq99", c, "smallvec", "1.6.1", nil, advisories + ": CVE-2021-25900, the version itself"},
	}}
}

// plainRust is Debian's ripgrep alone: it does not say what is in it, and nobody knows.
func plainRust() system {
	return system{name: "rust-unknown", make: func(t *testing.T, dir string) { unpack(t, dir, "ripgrep") },
		gaps: []string{"no-packages"}, expect: []expectation{{"EDGE-any", "crates.io", "regex", "", nil, "nothing tells"}}}
}

func golang() system {
	const g, vulndb = "Go", "Go's vulnerability database"
	return system{name: "go", make: func(t *testing.T, dir string) {
		source := t.TempDir()
		write(t, filepath.Join(source, "go.mod"), "module example.com/shop\n\ngo 1.25\n\nrequire golang.org/x/text v0.3.5\n")
		write(t, filepath.Join(source, "main.go"), "package main\n\nimport \"golang.org/x/text/language\"\n\nfunc main() { println(language.Make(\"en\").String()) }\n")
		output(t, source, "go", "mod", "tidy")
		output(t, source, "go", "build", "-o", filepath.Join(dir, "app", "shop"), ".")
	}, expect: []expectation{
		{"GO-2021-0113", g, "golang.org/x/text", "0.3.7", []string{"golang.org/x/text v0.3.5"}, vulndb},
		{"GO-2022-1059", g, "golang.org/x/text", "0.3.8", []string{"golang.org/x/text v0.3.5"}, vulndb},
		{"GO-2020-0015", g, "golang.org/x/text", "0.3.3", nil, vulndb + ": fixed"},
		{"GO-2021-0000", g, "golang.org/x/text", "0.3.5", nil, "the version itself"},
		{"GO-2022-0229", g, "stdlib", "1.12.16", nil, vulndb + ": fixed in the toolchain"},
	}}
}

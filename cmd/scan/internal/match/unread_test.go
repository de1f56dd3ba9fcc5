package match_test

import (
	"encoding/binary"
	"os/exec"
	"strings"
	"testing"

	"github.com/revet-dev/revet/cmd/scan/internal/sample"
)

// Files that name packages and cannot be read, each of another form.
func TestUnreadFiles(t *testing.T) {
	// Every image has a package that is compared, so that only the file is told of.
	base := npm("lodash", "4.17.21")
	records := []sample.Record{
		language("GHSA-1", "npm", "lodash", "4.17.21", "semver"), language("GHSA-2", "java-archive", "x:y", "1", "maven"), language("GHSA-3", "python", "x", "1", "python"),
	}
	named := sample.Zip(t, sample.Files{"META-INF/MANIFEST.MF": "Manifest-Version: 1.0\nImplementation-Title: app\nImplementation-Version: 1.0\n"})
	within := func(inner string) string {
		return sample.Zip(t, sample.Files{"META-INF/MANIFEST.MF": "Manifest-Version: 1.0\nImplementation-Title: app\nImplementation-Version: 1.0\n", "lib/inner.jar": inner})
	}
	var tests []scanTest
	add := func(name, subject, path, text string) {
		var want []string
		if subject != "" {
			want = []string{"gap unread-files " + subject + " 1 " + strings.ToValidUTF8(path, "\uFFFD")}
		}
		tests = append(tests, scanTest{name, base.And(sample.Files{strings.SplitN(path, ".jar/", 2)[0] + suffix(path): text}), records, want})
	}
	add("chisel's manifest", "chisel", "var/lib/chisel/manifest.wall", "(zstd)")
	add("XBPS", "xbps", "var/db/xbps/pkgdb-0.38.plist", "<plist/>")
	add("Slackware", "slackware", "var/log/packages/bash-5.2-x86_64-1", "PACKAGE NAME: bash")
	add("Clear Linux", "swupd", "usr/share/clear/bundles/os-core", "")
	add("Guix", "guix", "gnu/store/abc-bash-5.1", "")
	add("Spack", "spack", "opt/spack/.spack-db/index.json", "{}")
	add("a zipped egg", "python egg", "usr/lib/python3/site-packages/x-1.0-py3.egg", named)
	add("empty METADATA", "python", "usr/lib/python3/x-1.0.dist-info/METADATA", "")
	add("METADATA without a name", "python", "usr/lib/python3/x-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nVersion: 1.0\n")
	add("empty PKG-INFO", "python", "usr/lib/python3/x.egg-info/PKG-INFO", "")
	add("a gemspec that computes", "gem", "usr/lib/ruby/gems/3.0.0/specifications/x-1.0.gemspec", "eval File.read('x')\n")
	add("an empty gemspec", "gem", "usr/lib/ruby/gems/3.0.0/specifications/x-1.0.gemspec", "")
	add("a broken package.json of a module", "npm", "app/node_modules/x/package.json", "{")
	add("an empty package.json of a module", "npm", "app/node_modules/@s/x/package.json", "{}")
	add("a broken package.json of something else", "", "app/test/package.json", "{")
	add("a package.json in a module", "", "app/node_modules/lodash/esm/package.json", `{"type":"module"}`)
	add("Composer's broken list", "composer", "app/vendor/composer/installed.json", "{")
	add("Composer's list of none", "", "app/vendor/composer/installed.json", `{"packages":[]}`)
	add(".NET's broken list", "dotnet", "app/x.deps.json", "{")
	add(".NET's list of none", "", "app/x.deps.json", `{"libraries":{"x/1.0.0":{"type":"project"}}}`)
	add("conda's broken record", "conda", "opt/conda/conda-meta/x.json", "{")
	add("a gem of a repository", "gem", "app/vendor/bundle/ruby/3.0.0/bundler/gems/x-abc/x.gemspec", "Gem::Specification.new { |s| s.name = 'x' }\n")
	add("Composer's other list alone", "composer", "app/lib/composer/installed.php", "<?php return [];")
	add("Yarn's Plug'n'Play", "yarn", "app/.pnp.cjs", "{}")
	add("an archive of Electron's", "electron", "opt/app/resources/app.asar", "x")
	add("an archive of PHP's", "phar", "opt/x.phar", "<?php __HALT_COMPILER();")
	add("PHP's own tool for these", "", "usr/local/bin/phar.phar", "<?php __HALT_COMPILER();")
	add("an archive of Python's", "python zipapp", "opt/x.pex", "PK")
	class := sample.Zip(t, sample.Files{"META-INF/MANIFEST.MF": "Manifest-Version: 1.0\n", "A.class": "x"})
	pom := sample.Zip(t, sample.Files{"META-INF/maven/x/y/pom.properties": "groupId=x\nartifactId=y\nversion=0.1\n"})
	add("an archive in large letters", "java", "app/x.JAR", class)
	add("one that has its name only, in large letters", "java", "app/x.Jar", pom)
	add("an archive without an ending", "java", "app/server", class)
	add("an archive with another ending", "java", "app/x.zip", pom)
	add("an archive of archives", "java", "app/server", sample.Zip(t, sample.Files{"BOOT-INF/lib/x.jar": pom}))
	add("an archive behind a script", "java", "app/server", "#!/bin/sh\n"+strings.Repeat("#\n", 32<<10)+class)
	add("an archive of texts", "", "app/x.zip", sample.Zip(t, sample.Files{"a.txt": "x"}))
	add("an add-on of a browser's", "", "app/x.xpi", sample.Zip(t, sample.Files{"META-INF/manifest.mf": "x", "a.js": "x"}))
	holding := func(name, inner string) string {
		return sample.Zip(t, sample.Files{"META-INF/MANIFEST.MF": "Manifest-Version: 1.0\nImplementation-Title: app\nImplementation-Version: 1.0\n", name: inner})
	}
	add("an archive with one in large letters", "java", "app/x.jar/other/y.JAR", holding("other/y.JAR", pom))
	add("an archive with one of another name in its libraries", "java", "app/x.jar/BOOT-INF/lib/y", holding("BOOT-INF/lib/y", pom))
	add("an archive with a text in its libraries", "", "app/x.jar", holding("BOOT-INF/lib/y", "x"))
	add("an archive that is none", "java", "app/x.jar", "no archive")
	add("an archive cut short", "java", "app/x.jar", named[:len(named)-30])
	add("an archive with a broken one in it", "java", "app/x.jar/lib/inner.jar", within("no archive"))
	add("an archive with one that does not say what it is", "java", "app/x.jar/lib/inner.jar", within(sample.Zip(t, sample.Files{"A.class": "x"})))
	add("an archive with one in it that is", "", "app/x.jar", within(named))
	add("an archive with nothing to run in it", "", "app/x.jar", sample.Zip(t, sample.Files{"messages.properties": "a=b"}))
	add("pacman's broken record", "pacman", "var/lib/pacman/local/bash-5.2-1/desc", "%NAME%")
	add("a program that Syft cannot read", "cargo-auditable-binary-cataloger", "usr/bin/x", "\x7fELF"+strings.Repeat("\x00", 80))
	add("RPM's log", "rpm", "usr/lib/sysimage/rpm/rpmdb.sqlite-wal", "pages")
	add("RPM's empty log", "", "usr/lib/sysimage/rpm/rpmdb.sqlite-wal", "")
	add("RPM's journal", "rpm", "var/lib/rpm/rpmdb.sqlite-journal", "pages")
	add("RPM's database that is none", "rpm", "var/lib/rpm/rpmdb.sqlite", "no database")
	add("RPM's old database that is none", "rpm", "var/lib/rpm/Packages", "no database")
	incomplete := func(name, dir, file, text string) {
		tests = append(tests, scanTest{name, base.And(sample.Files{dir + "/" + file: text}), records, []string{"gap unread-files python 1 " + dir}})
	}
	incomplete("Python's list of files alone", "srv/x-1.0.dist-info", "RECORD", "x/__init__.py,,\n")
	incomplete("Python's name in small letters", "srv/x-1.0.dist-info", "metadata", "Name: x\n")
	incomplete("Python's name behind a link to nowhere", "srv/x-1.0.Dist-Info", "METADATA", sample.Link+"/data/m")
	incomplete("Python's name behind a link to something else", "srv/x.egg-info", "PKG-INFO", sample.Link+"/etc/motd")
	run(t, tests)
}

// suffix is of a path in an archive what belongs to the archive's own name.
func suffix(path string) string {
	if strings.Contains(path, ".jar/") {
		return ".jar"
	}
	return ""
}

// cutPages is an SQLite file of the first part of its pages, of which its header says
// that these are all.
func cutPages(raw string, part int) string {
	const size = 4096
	pages := len(raw) / size / part
	return raw[:28] + string(binary.BigEndian.AppendUint32(nil, uint32(pages))) + raw[32:pages*size]
}

// RPM's databases of every form are read, and one that was cut short is told.
func TestRPMDatabases(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/anchore/go-rpmdb").Output()
	if err != nil {
		t.Fatal(err)
	}
	raw := sample.Read(t, strings.TrimSpace(string(out)), "pkg/testdata/fedora35/rpmdb.sqlite")
	files := func(raw string) sample.Files {
		return sample.Files{"etc/os-release": "ID=rhel\nVERSION_ID=9.4\nID_LIKE=fedora\n", "var/lib/rpm/rpmdb.sqlite": raw}
	}
	records := []sample.Record{
		{ID: "CVE-1", OS: "rhel:9", Type: "rpm", Name: "openssl", Below: "1:1.1.1z-1.fc35", Format: "rpm", Severity: "high"},
		{ID: "CVE-2", OS: "rhel:9", Type: "rpm", Name: "bash", Below: "5.0", Format: "rpm", Severity: "high"},
	}
	run(t, []scanTest{
		{"whole, by its source", files(raw), records, []string{"CVE-1 openssl-libs 1:1.1.1l-2.fc35 high fix 1:1.1.1z-1.fc35"}},
		{"cut short", files(raw[:len(raw)/2]), records, []string{"gap no-packages  1 ", "gap unread-files distribution 1 etc/os-release", "gap unread-files rpm 1 var/lib/rpm/rpmdb.sqlite"}},
		{"cut short at the end of a page, and so in its header", files(cutPages(raw, 3)), records, []string{"gap unread-files rpm 1 var/lib/rpm/rpmdb.sqlite"}},
		{"cut short, and of another count of changes", files(raw[:len(raw)/3/4096*4096][:24] + "\x00\x00\x00\x09" + raw[28:len(raw)/3/4096*4096]), records,
			[]string{"gap unread-files rpm 1 var/lib/rpm/rpmdb.sqlite"}},
		{"behind a link, with a log", sample.Files{"etc/os-release": "ID=rhel\nVERSION_ID=9.4\n", "var/lib/rpm": sample.Link + "/opt/r", "opt/r/rpmdb.sqlite": raw, "opt/r/rpmdb.sqlite-wal": "pages"}, records,
			[]string{"CVE-1 openssl-libs 1:1.1.1l-2.fc35 high fix 1:1.1.1z-1.fc35", "gap unread-files rpm 1 opt/r/rpmdb.sqlite-wal"}},
		{"with a log", files(raw).And(sample.Files{"var/lib/rpm/rpmdb.sqlite-wal": "pages"}), records,
			[]string{"CVE-1 openssl-libs 1:1.1.1l-2.fc35 high fix 1:1.1.1z-1.fc35", "gap unread-files rpm 1 var/lib/rpm/rpmdb.sqlite-wal"}},
	})
}

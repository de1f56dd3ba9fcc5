package match_test

import (
	"testing"

	"github.com/revet-dev/revet/cmd/scan/internal/sample"
)

// A package database is of the system that it lies in, which is not always the image's.
func TestOtherSystems(t *testing.T) {
	records := []sample.Record{deb("CVE-1", "debian:12", "bash", "5.2"), deb("CVE-2", "debian:13", "bash", "5.0"), apk("CVE-3", "alpine:3.22", "other", "1")}
	at := func(root string, files sample.Files) sample.Files {
		all := sample.Files{}
		for name, text := range files {
			all[root+name] = text
		}
		return all
	}
	own := debian("13").And(dpkg(dpkgStatus("install ok installed")))
	other := func(path string) []string { return []string{"gap unread-files distribution 1 " + path} }
	run(t, []scanTest{
		{"of another release", own.And(at("rootfs/", debian("12").And(dpkg(bash)))), records, other("rootfs/var/lib/dpkg/status")},
		{"that does not say which", own.And(at("opt/x/", dpkg(bash))), records, other("opt/x/var/lib/dpkg/status")},
		{"in files of their own", own.And(at("opt/x/", sample.Files{"var/lib/dpkg/status.d/bash": bash})), records, other("opt/x/var/lib/dpkg/status.d/bash")},
		{"of another distribution", own.And(at("rootfs/", alpine("3.22.1"))), records,
			append([]string{"gap uncovered-packages apk 1 musl@1.2.2-r0"}, other("rootfs/lib/apk/db/installed")...)},
		{"of another release of Alpine, below usr", alpine("3.22.1").And(sample.Files{"x/etc/os-release": "ID=alpine\nVERSION_ID=3.23.0\n", "x/usr/lib/apk/db/installed": musl}), records,
			other("x/usr/lib/apk/db/installed")},
		{"of the same release", debian("12").And(dpkg(dpkgStatus("install ok installed")), at("rootfs/", debian("12").And(dpkg(bash)))), records,
			[]string{"CVE-1 bash 5.1-1 high fix 5.2"}},
		{"the image's own, behind a link", debian("12").And(at("data/", dpkg(bash)), sample.Files{"var": sample.Link + "data/var"}), records,
			[]string{"CVE-1 bash 5.1-1 high fix 5.2"}},
		{"the image's own, below usr", sample.Files{"etc/os-release": "ID=alpine\nVERSION_ID=3.22.1\n", "usr/lib/apk/db/installed": musl}, records, nil},
	})
}

// Two files say of which distribution an image is. The last word of one counts.
func TestReleaseSaidTwice(t *testing.T) {
	records := []sample.Record{deb("CVE-1", "debian:12", "bash", "5.2"), deb("CVE-2", "debian:13", "bash", "5.0")}
	found := []string{"CVE-1 bash 5.1-1 high fix 5.2"}
	usr := func(text string) sample.Files { return sample.Files{"usr/lib/os-release": text} }
	told := []string{"gap unread-files distribution 1 usr/lib/os-release"}
	run(t, []scanTest{
		{"another release", debian("13").And(usr("ID=debian\nVERSION_ID=12\n"), dpkg(bash)), records, told},
		{"another distribution", debian("13").And(usr("ID=ubuntu\nVERSION_ID=\"13\"\n"), dpkg(bash)), records, told},
		{"the same, in other words", debian("12").And(usr("VERSION_ID='12'\nNAME=x\nID=debian\n"), dpkg(bash)), records, found},
		{"a link", usr("ID=debian\nVERSION_ID=12\n").And(sample.Files{"etc/os-release": sample.Link + "../usr/lib/os-release"}, dpkg(bash)), records, found},
		{"an empty one", usr("ID=debian\nVERSION_ID=12\n").And(sample.Files{"etc/os-release": ""}, dpkg(bash)), records, found},
		{"the last line counts", sample.Files{"etc/os-release": "ID=debian\nVERSION_ID=13\nVERSION_ID=12\n"}.And(dpkg(bash)), records, found},
	})
}

// A name that looks like another's, and is not the same.
func TestNamesThatCannotBeSeen(t *testing.T) {
	records := []sample.Record{deb("CVE-1", "debian:12", "bash", "5.2"), apk("CVE-2", "alpine:3.22", "busybox", "2"), language("GHSA-1", "npm", "lodash", "5", "semver"),
		language("GHSA-2", "python", "urllib3", "5", "python")}
	module := func(name string) sample.Files {
		return sample.Files{"app/node_modules/lodash/package.json": `{"name":"` + name + `","version":"4.17.20"}`}
	}
	told := func(kind, name string) []string { return []string{"gap uncompared-packages " + kind + " 1 " + name} }
	run(t, []scanTest{
		{"NUL", debian("12").And(dpkg("Package: bash\x00\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.1-1\n\n")), records, told("deb", "bash\x00@5.1-1")},
		{"a space", alpine("3.22.1").And(sample.Files{"lib/apk/db/installed": "P:busybox \nV:1.0-r0\nA:x86_64\n\n"}), records, told("apk", "busybox @1.0-r0")},
		{"no width", module("lodash\u200b"), records, told("npm", "lodash\u200b@4.17.20")},
		{"the end of a line", module(`lodash\n`), records, told("npm", "lodash\n@4.17.20")},
		{"in Python's", python("urllib\u20603", "1.26.12"), records, told("pypi", "urllib\u20603@1.26.12")},
	})
}

package match_test

import (
	"strings"
	"testing"

	"github.com/revet-dev/revet/cmd/scan/internal/sample"
)

// A package database that lies elsewhere is read there; one that is hidden is told.
func TestDatabaseBehindALink(t *testing.T) {
	record := []sample.Record{deb("CVE-1", "debian:12", "bash", "5.2")}
	found := []string{"CVE-1 bash 5.1-1 high fix 5.2"}
	link := func(from, to string) sample.Files { return sample.Files{from: sample.Link + to} }
	run(t, []scanTest{
		{"the directory", debian("12").And(link("var/lib/dpkg", "/opt/db"), sample.Files{"opt/db/status": bash}), record, found},
		{"the directory above", debian("12").And(link("var/lib", "../opt/lib"), sample.Files{"opt/lib/dpkg/status": bash}), record, found},
		{"the file", debian("12").And(link("var/lib/dpkg/status", "/opt/packages"), sample.Files{"opt/packages": bash}), record, found},
		{"a link to a link", debian("12").And(link("var/lib/dpkg", "/a"), link("a", "b"), link("b", "/opt/db"), sample.Files{"opt/db/status": bash}), record, found},
		{"without os-release", link("var/lib/dpkg", "/opt/db").And(sample.Files{"opt/db/status": bash}), record, []string{"gap uncovered-release  1 bash@5.1-1"}},
		{"to nowhere", debian("12").And(link("var/lib/dpkg", "/opt/db")), record,
			[]string{"gap no-packages  1 ", "gap unread-files distribution 2 etc/os-release,var/lib/dpkg"}},
		{"to itself", debian("12").And(link("lib/apk/db", "db")), record, []string{"gap no-packages  1 ", "gap unread-files distribution 2 etc/os-release,lib/apk/db"}},
		{"to nowhere, without os-release", link("var/lib/rpm", "../../usr/lib/sysimage/rpm").And(sample.Files{"bin/sh": "x"}), record,
			[]string{"gap no-packages  1 ", "gap unread-files distribution 1 var/lib/rpm"}},
		{"several packages in files of their own", debian("12").And(sample.Files{"var/lib/dpkg/status.d/bash": bash}), record, found},
	})
}

// A database that names more than could be read, or less than is installed.
func TestBrokenDatabase(t *testing.T) {
	record := []sample.Record{deb("CVE-1", "debian:12", "other", "5.2"), apk("CVE-2", "alpine:3.22", "other", "1")}
	unread := func(manager, path string) []string { return []string{"gap unread-files " + manager + " 1 " + path} }
	const status = "var/lib/dpkg/status"
	run(t, []scanTest{
		{"whole", debian("12").And(dpkg(bash)), record, nil},
		{"cut in a line", debian("12").And(dpkg(bash, "Package: curl\nStatus: install ok installed\nVers")), record,
			append([]string{"gap uncompared-packages deb 1 curl@UNKNOWN"}, unread("dpkg", status)...)},
		{"cut in a package's name", debian("12").And(dpkg(bash, "Package: cur")), record,
			unread("dpkg", status)},
		{"marked for removal, and there", debian("12").And(dpkg(bash, dpkgStatus("deinstall ok installed"))), record, unread("dpkg", status)},
		{"half removed", debian("12").And(dpkg(bash, dpkgStatus("deinstall ok half-installed"))), record, unread("dpkg", status)},
		{"another one twice, in place of what is left out", debian("12").And(dpkg(bash, strings.Replace(bash, "\n", "\nMaintainer: x\n", 1), dpkgStatus("install ok installed deinstall"))),
			record, unread("dpkg", status)},
		{"marked for removal, in a file of its own", debian("12").And(sample.Files{"var/lib/dpkg/status.d/bash": bash + dpkgStatus("deinstall ok installed")}), record,
			unread("dpkg", "var/lib/dpkg/status.d/bash")},
		{"in a folder of files of their own", debian("12").And(dpkg(bash), sample.Files{"var/lib/dpkg/status.d/x/y": dpkgStatus("install ok installed")}), record,
			unread("dpkg", "var/lib/dpkg/status.d/x/y")},
		{"a file of its own whose line does not end", debian("12").And(sample.Files{"var/lib/dpkg/status.d/bash": strings.TrimSpace(bash) + "\nDescription: x"}), record, nil},
		{"whose first field has a byte order mark", debian("12").And(dpkg("\ufeff"+dpkgStatus("install ok installed"), bash)), record, unread("dpkg", status)},
		{"a name on the next line", debian("12").And(dpkg(bash, strings.Replace(dpkgStatus("install ok installed"), "curl", "\n curl", 1))), record,
			append([]string{"gap uncompared-packages deb 1 \n curl@7.0-1"}, unread("dpkg", status)...)},
		{"one in the lines of another", debian("12").And(dpkg(strings.TrimSuffix(bash, "\n"), "\r\n", strings.ToLower(dpkgStatus("install ok installed")))), record, unread("dpkg", status)},
		{"apk's with two names", alpine("3.22.1").And(sample.Files{"lib/apk/db/installed": musl + "P:busybox\nP:x\nV:1.3\n\n"}), record, unread("apk", "lib/apk/db/installed")},
		{"a package dropped", debian("12").And(dpkg(bash), sample.Files{"var/lib/dpkg/info/bash.list": "/bin/bash\n", "var/lib/dpkg/info/libssl3:amd64.list": "/usr/lib/libssl.so.3\n"}),
			record, unread("dpkg", "var/lib/dpkg/info/libssl3:amd64.list")},
		{"changes that were not written into it", debian("12").And(dpkg(bash), sample.Files{"var/lib/dpkg/updates/0001": "Package: bash\n"}), record, unread("dpkg", "var/lib/dpkg/updates/0001")},
		{"a removed package", debian("12").And(dpkg(bash, "Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n"), sample.Files{"var/lib/dpkg/info/gone.list": "/etc/gone\n"}), record, nil},
		{"apk's cut in a line", alpine("3.22.1").And(sample.Files{"lib/apk/db/installed": musl + "C:Q1\nP:busybox\nV:1.3"}), record, unread("apk", "lib/apk/db/installed")},
		{"apk's whole", alpine("3.22.1"), record, nil},
		{"removed", debian("12").And(npm("lodash", "4.17.20")), []sample.Record{language("GHSA-1", "npm", "other", "5", "semver")}, unread("distribution", "etc/os-release")},
	})
}

// A link hides from nobody what is wrong with a database.
func TestBrokenDatabaseBehindALink(t *testing.T) {
	record := []sample.Record{deb("CVE-1", "debian:12", "other", "5.2"), apk("CVE-2", "alpine:3.22", "other", "1")}
	link := func(from, to string) sample.Files { return sample.Files{from: sample.Link + to} }
	removed := bash + dpkgStatus("deinstall ok installed")
	unread := func(manager, path string) []string { return []string{"gap unread-files " + manager + " 1 " + path} }
	run(t, []scanTest{
		{"the folder", debian("12").And(link("var/lib/dpkg", "/opt/r"), sample.Files{"opt/r/status": removed}), record, unread("dpkg", "opt/r/status")},
		{"the file", debian("12").And(link("var/lib/dpkg/status", "/opt/packages"), sample.Files{"opt/packages": removed}), record, unread("dpkg", "opt/packages")},
		{"a file of its own", debian("12").And(link("var/lib/dpkg/status.d/a", "/opt/a"), sample.Files{"opt/a": removed}), record, unread("dpkg", "opt/a")},
		{"the folder above, of another root", debian("12").And(dpkg(bash), debian12("x/"), link("x/var", "../data"), sample.Files{"data/lib/dpkg/status": removed}), record,
			unread("dpkg", "data/lib/dpkg/status")},
		{"a package dropped, the file", debian("12").And(link("var/lib/dpkg/status", "/opt/packages"), sample.Files{"opt/packages": bash, "var/lib/dpkg/info/curl.list": "/bin/curl\n"}), record,
			unread("dpkg", "var/lib/dpkg/info/curl.list")},
		{"a package dropped, the folder", debian("12").And(link("var/lib/dpkg", "/opt/r"), sample.Files{"opt/r/status": bash, "opt/r/info/curl.list": "/bin/curl\n"}), record,
			unread("dpkg", "opt/r/info/curl.list")},
		{"changes", debian("12").And(dpkg(bash), link("var/lib/dpkg/updates", "/opt/u"), sample.Files{"opt/u/0001": bash}), record, unread("dpkg", "opt/u/0001")},
		{"apk's", alpine("3.22.1").And(link("lib/apk/db/installed", "/opt/r"), sample.Files{"opt/r": musl + "P:a\nP:b\nV:1\n\n"}), record, unread("apk", "opt/r")},
	})
}

// debian12 is an os-release of it in another root.
func debian12(root string) sample.Files {
	return sample.Files{root + "etc/os-release": "ID=debian\nVERSION_ID=12\n"}
}

// An image in which nothing was found says nothing, not that all is well.
func TestImageWithoutPackages(t *testing.T) {
	run(t, []scanTest{
		{"a program that does not say what is in it", sample.Files{"app": "#!/bin/sh\n"}, nil, []string{"gap no-packages  1 "}},
		{"nothing", sample.Files{"etc/motd": ""}, nil, []string{"gap no-packages  1 "}},
	})
}

// What a distribution patched is compared with what it says, not with what upstream does.
func TestPackagesOfADistribution(t *testing.T) {
	stanza := "Package: python3-urllib3\nStatus: install ok installed\nSource: python-urllib3\nArchitecture: all\nVersion: 1.26.12-1+deb12u1\n\n"
	list := sample.Files{
		"var/lib/dpkg/info/python3-urllib3.list":    "/usr/lib/python3/dist-packages/urllib3-1.26.12.dist-info/METADATA\n",
		"var/lib/dpkg/info/python3-urllib3.md5sums": "d41d8cd98f00b204e9800998ecf8427e  usr/lib/python3/dist-packages/urllib3-1.26.12.dist-info/METADATA\n",
	}
	upstream := language("GHSA-1", "python", "urllib3", "1.26.17", "python")
	fixed := deb("CVE-1", "debian:12", "python-urllib3", "1.26.12-1+deb12u1")
	urllib := python("urllib3", "1.26.12")
	apkOwned := sample.Files{
		"etc/os-release": "ID=alpine\nVERSION_ID=3.22.1\n",
		"lib/apk/db/installed": "C:Q1eVpkasfqZAukAXFYbgwt4xAMZWU=\nP:py3-urllib3\nV:1.26.12-r3\nA:noarch\nS:1\nI:1\nT:x\nU:x\nL:MIT\no:py3-urllib3\n" +
			"F:usr/lib/python3/dist-packages/urllib3-1.26.12.dist-info\nR:METADATA\n\n",
	}
	run(t, []scanTest{
		{"Debian's, fixed", debian("12").And(dpkg(stanza), list, urllib), []sample.Record{upstream, fixed}, nil},
		{"Debian's, not fixed", debian("12").And(dpkg(stanza), list, urllib), []sample.Record{upstream, deb("CVE-1", "debian:12", "python-urllib3", "1.26.12-1+deb12u2")},
			[]string{"CVE-1 python3-urllib3 1.26.12-1+deb12u1 high fix 1.26.12-1+deb12u2"}},
		{"installed beside it", debian("12").And(dpkg(bash), urllib), []sample.Record{upstream, fixed}, []string{"GHSA-1 urllib3 1.26.12 high fix 1.26.17"}},
		{"with an epoch", debian("12").And(dpkg("Package: python3-urllib3\nStatus: install ok installed\nArchitecture: all\nVersion: 1:1.26.12-1\n\n"), list, urllib),
			[]sample.Record{upstream, deb("CVE-1", "debian:12", "python3-urllib3", "1")}, nil},
		{"in a package that somebody else built", debian("12").And(dpkg(strings.Replace(stanza, "Source: python-urllib3\n", "", 1)), list, urllib),
			[]sample.Record{upstream, fixed}, []string{"GHSA-1 urllib3 1.26.12 high fix 1.26.17"}},
		{"in one with the first number of its version", debian("12").And(dpkg(strings.Replace(stanza, "1.26.12-1+deb12u1", "1", 1)), list, urllib),
			[]sample.Record{upstream, deb("CVE-1", "debian:12", "python-urllib3", "0.1")}, []string{"GHSA-1 urllib3 1.26.12 high fix 1.26.17"}},
		{"in one of a release of which nothing is known", debian("99").And(dpkg(stanza), list, urllib), []sample.Record{upstream, fixed},
			[]string{"GHSA-1 urllib3 1.26.12 high fix 1.26.17", "gap uncovered-release debian:99 1 python3-urllib3@1.26.12-1+deb12u1"}},
		{"in a package of another version, which the distribution knows nothing of", debian("12").And(dpkg("Package: python3-urllib3\nStatus: install ok installed\nArchitecture: all\nVersion: 9.0\n\n"), list, urllib),
			[]sample.Record{upstream, fixed}, []string{"GHSA-1 urllib3 1.26.12 high fix 1.26.17"}},
		{"Alpine's", apkOwned.And(urllib), []sample.Record{upstream, apk("CVE-1", "alpine:3.22", "py3-urllib3", "1.26.12-r3")}, nil},
		{"Alpine's, not fixed", apkOwned.And(urllib), []sample.Record{upstream, apk("CVE-1", "alpine:3.22", "py3-urllib3", "1.26.12-r4")},
			[]string{"CVE-1 py3-urllib3 1.26.12-r3 high fix 1.26.12-r4"}},
		{"malware in it", debian("12").And(dpkg(stanza), list, urllib), []sample.Record{fixed, {ID: "MAL-2026-1", Provider: "malware", Type: "python", Name: "urllib3", Format: "python"}},
			[]string{"MAL-2026-1 urllib3 1.26.12 critical malware"}},
	})
}

// What a distribution delivers, it answers for, even where nothing else could be compared.
func TestDeliveredPackages(t *testing.T) {
	const description = "usr/lib/R/library/stats/DESCRIPTION"
	r := sample.Files{description: "Package: stats\nVersion: 4.2.2\n"}
	odd := sample.Files{"usr/share/nodejs/lodash/package.json": `{"name":"lodash"}`}
	owns := func(version, name string) sample.Files {
		return debian("12").And(dpkg("Package: owner\nStatus: install ok installed\nArchitecture: all\nVersion: "+version+"\n\n"),
			sample.Files{"var/lib/dpkg/info/owner.list": "/" + name + "\n", "var/lib/dpkg/info/owner.md5sums": "d41d8cd98f00b204e9800998ecf8427e  " + name + "\n"})
	}
	known := []sample.Record{deb("CVE-1", "debian:12", "other", "1"), language("GHSA-1", "npm", "lodash", "4.17.21", "semver")}
	run(t, []scanTest{
		{"of a kind without records", owns("4.2.2.20221110-2", description).And(r), known, nil},
		{"the same, installed beside it", owns("4.2.2.20221110-2", "usr/bin/R").And(r), known, []string{"gap uncovered-packages cran 1 stats@4.2.2"}},
		{"the same, of a release without records", owns("4.2.2.20221110-2", description).And(r), []sample.Record{deb("CVE-1", "debian:11", "other", "1")},
			[]string{"gap uncovered-packages cran 1 stats@4.2.2", "gap uncovered-release debian:12 1 owner@4.2.2.20221110-2"}},
		{"without a version", owns("4.17.21-1", "usr/share/nodejs/lodash/package.json").And(odd), known, nil},
		{"without a version, beside it", owns("4.17.21-1", "usr/bin/node").And(odd), known, []string{"gap uncompared-packages npm 1 lodash@UNKNOWN"}},
		{"without a version, of a package without one", owns("latest", "usr/share/nodejs/lodash/package.json").And(odd), known,
			[]string{"gap uncompared-packages deb 1 owner@latest", "gap uncompared-packages npm 1 lodash@UNKNOWN"}},
		{"malware in it all the same", owns("4.17.21-1", "usr/share/nodejs/lodash/package.json").And(odd),
			append(known, sample.Record{ID: "MAL-2026-1", Provider: "malware", Type: "npm", Name: "lodash", Format: "semver"}), []string{"MAL-2026-1 lodash UNKNOWN critical malware"}},
	})
}

// One vulnerability is one finding, whatever names it has, at the level that is known.
func TestOneVulnerabilityWithSeveralNames(t *testing.T) {
	record := func(id, severity string, aliases ...string) sample.Record {
		return sample.Record{ID: id, Aliases: aliases, Severity: severity, Type: "npm", Name: "lodash", Below: "4.17.21", Format: "semver"}
	}
	lodash := npm("lodash", "4.17.20")
	run(t, []scanTest{
		{"an alias without a severity", lodash, []sample.Record{record("GHSA-1", "medium", "CVE-1"), record("GO-1", "", "CVE-1")}, []string{"CVE-1 lodash 4.17.20 medium fix 4.17.21"}},
		{"an alias of an alias", lodash, []sample.Record{record("GHSA-1", "medium"), record("PYSEC-1", "", "GHSA-1", "X-1"), record("X-1", "low")}, []string{"GHSA-1 lodash 4.17.20 medium fix 4.17.21"}},
		{"the worst counts", lodash, []sample.Record{record("GHSA-1", "low", "CVE-1"), record("GO-1", "high", "CVE-1")}, []string{"CVE-1 lodash 4.17.20 high fix 4.17.21"}},
		{"only the NVD knows how bad it is", lodash, []sample.Record{record("GHSA-1", "", "CVE-1"), {ID: "CVE-1", Provider: "nvd", Vector: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}},
			[]string{"CVE-1 lodash 4.17.20 critical fix 4.17.21"}},
		{"nobody knows", lodash, []sample.Record{record("GHSA-1", "", "CVE-1")}, []string{"CVE-1 lodash 4.17.20 unknown fix 4.17.21"}},
		{"two", lodash, []sample.Record{record("GHSA-1", "low", "CVE-1"), record("GHSA-2", "high", "CVE-2")}, []string{"CVE-1 lodash 4.17.20 low fix 4.17.21", "CVE-2 lodash 4.17.20 high fix 4.17.21"}},
		{"one record of several does not make them one", lodash, []sample.Record{record("GHSA-1", "low", "CVE-1"), record("GHSA-2", "high", "CVE-2"), record("BUNDLE-1", "medium", "CVE-1", "CVE-2")},
			[]string{"BUNDLE-1 lodash 4.17.20 medium fix 4.17.21", "CVE-1 lodash 4.17.20 low fix 4.17.21", "CVE-2 lodash 4.17.20 high fix 4.17.21"}},
		{"exploited", lodash, []sample.Record{record("GHSA-1", "low", "CVE-1"), {ID: "CVE-1", Provider: "nvd", Severity: "high", Exploited: true}}, []string{"CVE-1 lodash 4.17.20 low fix 4.17.21 exploited"}},
		{"the distributor's word goes before the NVD's", debian("12").And(dpkg(bash)), []sample.Record{
			{ID: "CVE-1", OS: "debian:12", Type: "deb", Name: "bash", Below: "5.2", Format: "dpkg", Severity: "low"},
			{ID: "CVE-1", Provider: "nvd", Severity: "critical"},
		}, []string{"CVE-1 bash 5.1-1 low fix 5.2"}},
		{"malware with a name of its own", lodash, []sample.Record{record("GHSA-1", "", "MAL-2026-1"), {ID: "MAL-2026-1", Provider: "malware", Type: "npm", Name: "lodash", Format: "semver"}},
			[]string{"MAL-2026-1 lodash 4.17.20 critical fix 4.17.21 malware"}},
	})
}

// RPM's are compared by their source and, where they are of a module, within its stream.
// Names need not be UTF-8.
func TestNames(t *testing.T) {
	jar := sample.Zip(t, sample.Files{
		"META-INF/MANIFEST.MF": "Manifest-Version: 1.0\n",
		"META-INF/maven/org.apache.logging.log4j/log4j-core/pom.properties": "groupId=org.apache.logging.log4j\nartifactId=log4j-core\nversion=2.14.1\n",
	})
	log4j := []sample.Record{language("GHSA-1", "java-archive", "org.apache.logging.log4j:log4j-core", "2.15.0", "maven")}
	found := []string{"GHSA-1 log4j-core 2.14.1 high fix 2.15.0"}
	run(t, []scanTest{
		{"an archive", sample.Files{"opt/app.jar": jar}, log4j, found},
		{"whose name is not UTF-8", sample.Files{"opt/\xe4pp.jar": jar}, log4j, found},
		{"in a directory whose name is not", sample.Files{"opt/\xff\xfe/app.jar": jar}, log4j, found},
		{"in an archive", sample.Files{"opt/app.war": sample.Zip(t, sample.Files{"WEB-INF/lib/x.jar": jar, "META-INF/MANIFEST.MF": "Manifest-Version: 1.0\n"})}, log4j, found},
		{"behind a link whose name is not", sample.Files{"opt/\xe4.jar": sample.Link + "/data/blob", "data/blob": jar}, log4j, found},
	})
}

// Packages without a version, or with one that does not compare.
func TestUncomparedPackages(t *testing.T) {
	lodash := []sample.Record{language("GHSA-1", "npm", "lodash", "4.17.21", "semver")}
	urllib := []sample.Record{language("GHSA-1", "python", "urllib3", "1.26.17", "python")}
	run(t, []scanTest{
		{"a distribution's without one", debian("12").And(dpkg("Package: bash\nStatus: install ok installed\nArchitecture: amd64\n\n")), []sample.Record{deb("CVE-1", "debian:12", "other", "1")},
			[]string{"gap uncompared-packages deb 1 bash@UNKNOWN"}},
		{"a distribution's that is none", debian("12").And(dpkg("Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: latest\n\n")), []sample.Record{deb("CVE-1", "debian:12", "bash", "6")},
			[]string{"gap uncompared-packages deb 1 bash@latest"}},
		{"a module's without one", sample.Files{"srv/package.json": `{"name":"lodash"}`}, lodash, []string{"gap uncompared-packages npm 1 lodash@UNKNOWN"}},
		{"of which nobody knows anything", sample.Files{"srv/package.json": `{"name":"mine"}`}, lodash, nil},
		{"one that the ecosystem does not allow", python("urllib3", "1.26.12.unreleased"), urllib, []string{"gap uncompared-packages pypi 1 urllib3@1.26.12.unreleased"}},
		{"private, with the name of a stranger's", sample.Files{"srv/package.json": `{"name":"lodash","version":"1.0.0","private":true}`}, lodash, nil},
		{"installed, and private by its own word", sample.Files{"srv/node_modules/lodash/package.json": `{"name":"lodash","version":"1.0.0","private":true}`}, lodash,
			[]string{"GHSA-1 lodash 1.0.0 high fix 4.17.21"}},
	})
}

// Packages of kinds that the database has no records of.
func TestUncoveredPackages(t *testing.T) {
	run(t, []scanTest{
		{"npm", npm("lodash", "4.17.20"), []sample.Record{language("GHSA-1", "python", "urllib3", "1", "python")}, []string{"gap uncovered-packages npm 1 lodash@4.17.20"}},
		{"conda", sample.Files{"opt/conda/conda-meta/numpy-1.26.0-py.json": `{"name":"numpy","version":"1.26.0","build":"py","channel":"defaults","files":[]}`},
			[]sample.Record{language("GHSA-1", "npm", "lodash", "1", "semver")}, []string{"gap uncovered-packages conda 1 numpy@1.26.0"}},
		{"records of the name in another ecosystem", npm("urllib3", "1"), []sample.Record{language("GHSA-1", "python", "urllib3", "2", "python")}, []string{"gap uncovered-packages npm 1 urllib3@1"}},
		{"openSUSE", sample.Files{"etc/os-release": "ID=opensuse-leap\nVERSION_ID=15.6\n"}.And(dpkg(bash)), []sample.Record{deb("CVE-1", "sles:15.6", "bash", "6")},
			[]string{"gap uncovered-release opensuse-leap:15.6 1 bash@5.1-1"}},
	})
}

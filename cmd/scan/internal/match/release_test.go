package match_test

import (
	"testing"
	"time"

	"github.com/revet-dev/revet/cmd/scan/internal/sample"
)

// Packages of a release that the database does not know are not compared with those of
// another, and not taken for clean.
func TestReleaseThatTheDatabaseDoesNotKnow(t *testing.T) {
	bookworm := deb("CVE-1", "debian:12", "bash", "5.2")
	uncovered := func(subject string) []string { return []string{"gap uncovered-release " + subject + " 1 bash@5.1-1"} }
	run(t, []scanTest{
		{"that it knows", debian("12").And(dpkg(bash)), []sample.Record{bookworm}, []string{"CVE-1 bash 5.1-1 high fix 5.2"}},
		{"the next", debian("13").And(dpkg(bash)), []sample.Record{bookworm}, uncovered("debian:13")},
		{"one that there is not", debian("99").And(dpkg(bash)), []sample.Record{bookworm}, uncovered("debian:99")},
		{"one that another file contradicts", debian("99").And(dpkg(bash), sample.Files{"etc/debian_version": "12.5\n"}), []sample.Record{bookworm}, uncovered("debian:99")},
		{"none", sample.Files{"etc/os-release": "ID=debian\n"}.And(dpkg(bash)), []sample.Record{bookworm}, uncovered("debian")},
		{"a codename that is not known", sample.Files{"etc/os-release": "ID=debian\nVERSION_CODENAME=trixie\n"}.And(dpkg(bash)),
			[]sample.Record{deb("CVE-1", "debian:12/bookworm", "bash", "5.2")}, uncovered("debian:trixie")},
		{"of a distribution that is like one", sample.Files{"etc/os-release": "ID=pureos\nID_LIKE=debian\nVERSION_ID=12\n"}.And(dpkg(bash)), []sample.Record{bookworm}, uncovered("pureos:12")},
		{"a codename that the database leaves out", sample.Files{"etc/os-release": "ID=debian\nVERSION_ID=12\nVERSION_CODENAME=bookworm\n"}.And(dpkg(bash)),
			[]sample.Record{bookworm}, []string{"CVE-1 bash 5.1-1 high fix 5.2"}},
		{"a codename of another number", sample.Files{"etc/os-release": "ID=debian\nVERSION_ID=13\nVERSION_CODENAME=bookworm\n"}.And(dpkg(bash)),
			[]sample.Record{deb("CVE-1", "debian:12/bookworm", "bash", "5.2")}, uncovered("debian:13")},
		{"no os-release", dpkg(bash), []sample.Record{bookworm}, uncovered("")},
		{"another minor release", alpine("3.10.9"), []sample.Record{apk("CVE-1", "alpine:3.22", "musl", "1.3-r0")},
			[]string{"gap limited-support alpine:3.10.9 1 ", "gap uncovered-release alpine:3.10.9 1 musl@1.2.2-r0"}},
		{"a rolling release", alpine("3.24.0_alpha20260127"), []sample.Record{apk("CVE-1", "alpine:3.22", "musl", "1.3-r0")},
			[]string{"gap uncovered-release alpine:3.24.0_alpha20260127 1 musl@1.2.2-r0"}},
		{"a rolling release that it knows", alpine("3.24.0_alpha20260127"), []sample.Record{apk("CVE-1", "alpine:edge", "musl", "1.3-r0")},
			[]string{"CVE-1 musl 1.2.2-r0 high fix 1.3-r0"}},
		{"of which there are records of another kind only", debian("12").And(dpkg(bash)), []sample.Record{{ID: "CVE-1", OS: "debian:12", Type: "rpm", Name: "bash", Below: "6", Format: "rpm"}},
			[]string{"gap uncovered-packages deb 1 bash@5.1-1"}},
		{"a point release of one", debian("12").And(dpkg(bash), sample.Files{"etc/debian_version": "12.5\n"}), []sample.Record{bookworm}, []string{"CVE-1 bash 5.1-1 high fix 5.2"}},
	})
}

// What is known of a release that nobody supports any more no longer grows.
func TestReleaseWithoutSupport(t *testing.T) {
	ubuntu := func(version string) sample.Files {
		return sample.Files{"etc/os-release": "ID=ubuntu\nVERSION_ID=\"" + version + "\"\n"}.And(dpkg(bash))
	}
	record := func(os string, end time.Time) []sample.Record {
		r := deb("CVE-1", os, "other", "1")
		r.End = end
		return []sample.Record{r}
	}
	run(t, []scanTest{
		{"fixes for subscribers only", ubuntu("18.04"), record("ubuntu:18.04", time.Time{}), []string{"gap limited-support ubuntu:18.04 1 "}},
		{"supported", ubuntu("24.04"), record("ubuntu:24.04", time.Time{}), nil},
		{"that the database says ended", ubuntu("24.04"), record("ubuntu:24.04", now.Add(-time.Hour)), []string{"gap limited-support ubuntu:24.04 1 "}},
		{"that the database says did not end", ubuntu("18.04"), record("ubuntu:18.04", now.Add(time.Hour)), nil},
		{"that os-release says ended", sample.Files{"etc/os-release": "ID=fedora\nVERSION_ID=39\nSUPPORT_END=2024-11-12\n"}.And(dpkg(bash)),
			[]sample.Record{deb("CVE-1", "fedora:39", "other", "1")}, []string{"gap limited-support fedora:39 1 "}},
		{"that is not known to the database either", ubuntu("16.04"), record("ubuntu:24.04", time.Time{}),
			[]string{"gap limited-support ubuntu:16.04 1 ", "gap uncovered-release ubuntu:16.04 1 bash@5.1-1"}},
		{"whose own word is another", sample.Files{"etc/os-release": "ID=debian\nVERSION_ID=9\nSUPPORT_END=2099-01-01\n"}.And(dpkg(bash)), record("debian:9", time.Time{}),
			[]string{"gap limited-support debian:9 1 "}},
		{"long ago", debian("9").And(dpkg(bash)), record("debian:9", time.Time{}), []string{"gap limited-support debian:9 1 "}},
	})
}

//go:build rootfs

package rootfs

import (
	"io"
	"os"
	"path/filepath"
	"testing"
)

// Where expectations are from.
const (
	tracker = "Debian's security tracker"
	order   = "deb-version(7)"
	tests   = "the packages that go-rpmdb's tests name, with their sources"
)

func distributions() []system {
	return []system{bookworm(), trixie(), jammy(), alpine(), rocky(), suse(), centos(), alma()}
}

func debootstrap(suite string) func(*testing.T, string) {
	return func(t *testing.T, dir string) { run(t, "debootstrap", "--variant=minbase", suite, dir) }
}

func dpkgVersion(t *testing.T, dir, name string) string {
	t.Helper()
	return output(t, dir, "dpkg-query", "--admindir", "var/lib/dpkg", "-W", "-f", "${Version}", name)
}

func bookworm() system {
	const d = "Debian:12"
	return system{name: "debian-12", make: debootstrap("bookworm"), version: dpkgVersion, expect: []expectation{
		{"DEBIAN-CVE-2005-2541", d, "tar", "", []string{"tar *"}, tracker + ": never fixed"},
		{"DEBIAN-CVE-2011-3374", d, "apt", "", []string{"apt *", "libapt-pkg6.0 *"}, tracker + ": never fixed; by the source"},
		{"DEBIAN-CVE-2007-5686", d, "shadow", "", []string{"login *", "passwd *"}, tracker + ": never fixed; an epoch"},
		{"DEBIAN-CVE-2022-27943", d, "gcc-12", "", []string{"gcc-12-base *", "libgcc-s1 *", "libstdc++6 *"}, tracker + ": never fixed"},
		{"DEBIAN-CVE-2010-4756", d, "glibc", "", []string{"libc-bin *", "libc6 *"}, tracker + ": never fixed"},
		{"DEBIAN-CVE-2023-45853", d, "zlib", "1:1.3.dfsg-2", []string{"zlib1g *"}, tracker + ": fixed in the next release"},
		{"DEBIAN-CVE-2023-31484", d, "perl", "5.36.0-7+deb12u3", nil, tracker + ": fixed in this one"},
		{"DEBIAN-CVE-2016-2781", d, "coreutils", "9.1-1", nil, order + ": the version itself"},
		{"EDGE-build", d, "coreutils", "9.1-1+b1", []string{"coreutils *"}, order + ": one more"},
		{"EDGE-tilde", d, "coreutils", "9.1-1~", nil, order + ": a tilde sorts before the end"},
		{"EDGE-epoch", d, "coreutils", "1:0", []string{"coreutils *"}, order + ": an epoch counts first"},
		{"EDGE-binary", d, "libsemanage", "3.4-1", nil, "a rebuild (3.4-1+b5) has the source's version"},
		{"EDGE-source", d, "libsemanage", "3.4-1+b9", []string{"libsemanage-common *", "libsemanage2 *"}, order},
		{"EDGE-name", d, "libsemanage2", "99", []string{"libsemanage2 *"}, "names of binaries count too, as some distributions' records have them"},
		{"EDGE-other", "Debian:11", "tar", "", nil, "of another release"},
	}}
}

func trixie() system {
	const d = "Debian:13"
	return system{name: "debian-13", make: debootstrap("trixie"), version: dpkgVersion, expect: []expectation{
		{"DEBIAN-CVE-2005-2541", d, "tar", "", []string{"tar *"}, tracker + ": never fixed"},
		{"DEBIAN-CVE-2011-3374", d, "apt", "", []string{"apt *", "libapt-pkg7.0 *"}, tracker + ": never fixed; by the source"},
		{"DEBIAN-CVE-2023-45853", d, "zlib", "1:1.3.dfsg-2", nil, tracker + ": fixed in 1:1.3.dfsg+really1.3.1-1"},
		{"EDGE-zlib", d, "zlib", "1:1.3.dfsg+really1.3.2-1", []string{"zlib1g *"}, order},
		{"EDGE-other", "Debian:12", "tar", "", nil, "of another release"},
	}}
}

// jammy is Ubuntu's shape: its keys and its archive are none of Debian's.
func jammy() system {
	const u, usn = "Ubuntu:22.04:LTS", "Ubuntu's security notices"
	return system{name: "ubuntu-22.04", make: func(t *testing.T, dir string) {
		write(t, filepath.Join(dir, "etc/os-release"), "ID=ubuntu\nID_LIKE=debian\nNAME=Ubuntu\nVERSION_ID=\"22.04\"\nVERSION_CODENAME=jammy\n")
		text := ""
		for _, p := range [][3]string{
			{"bash", "bash", "5.1-6ubuntu1"}, {"libssl3", "openssl", "3.0.2-0ubuntu1.10"}, {"openssl", "openssl", "3.0.2-0ubuntu1.10"},
			{"libc6", "glibc", "2.35-0ubuntu3.1"}, {"login", "shadow", "1:4.8.1-2ubuntu2.1"},
		} {
			text += "Package: " + p[0] + "\nStatus: install ok installed\nArchitecture: amd64\nSource: " + p[1] + "\nVersion: " + p[2] + "\n\n"
		}
		write(t, filepath.Join(dir, "var/lib/dpkg/status"), text)
	}, expect: []expectation{
		{"UBUNTU-CVE-2022-3715", u, "bash", "5.1-6ubuntu1.1", []string{"bash 5.1-6ubuntu1"}, usn + ": 6697-1"},
		{"UBUNTU-CVE-2023-2650", u, "openssl", "3.0.2-0ubuntu1.10", nil, usn + ": 6119-1"},
		{"UBUNTU-CVE-2023-5363", u, "openssl", "3.0.2-0ubuntu1.12", []string{"libssl3 3.0.2-0ubuntu1.10", "openssl 3.0.2-0ubuntu1.10"}, usn + ": 6450-1; 12 is more than 10"},
		{"UBUNTU-CVE-2023-4911", u, "glibc", "2.35-0ubuntu3.4", []string{"libc6 2.35-0ubuntu3.1"}, usn + ": 6409-1"},
		{"EDGE-other", "Ubuntu:24.04:LTS", "bash", "", nil, "of another release"},
	}}
}

// alpine is its shape: apk is none of Debian's packages.
func alpine() system {
	const a, secdb, versions = "Alpine:v3.20", "Alpine's secdb", "apk's order of versions"
	return system{name: "alpine-3.20", make: func(t *testing.T, dir string) {
		write(t, filepath.Join(dir, "etc/os-release"), "NAME=\"Alpine Linux\"\nID=alpine\nVERSION_ID=3.20.0\n")
		text := ""
		for _, p := range [][3]string{
			{"musl", "musl", "1.2.5-r0"}, {"busybox", "busybox", "1.36.1-r28"}, {"busybox-binsh", "busybox", "1.36.1-r28"},
			{"libcrypto3", "openssl", "3.3.0-r2"}, {"libssl3", "openssl", "3.3.0-r2"}, {"zlib", "zlib", "1.3.1-r1"},
		} {
			text += "C:Q1eVpkasfqZAukAXFYbgwt4xAMZWU=\nP:" + p[0] + "\nV:" + p[2] + "\nA:x86_64\nS:1\nI:1\nT:x\nU:x\nL:MIT\no:" + p[1] + "\n\n"
		}
		write(t, filepath.Join(dir, "lib/apk/db/installed"), text)
	}, gaps: []string{"limited-support alpine:3.20.0"}, expect: []expectation{
		{"ALPINE-CVE-2024-4741", a, "openssl", "3.3.0-r3", []string{"libcrypto3 3.3.0-r2", "libssl3 3.3.0-r2"}, secdb},
		{"ALPINE-CVE-2024-4603", a, "openssl", "3.3.0-r2", nil, secdb},
		{"ALPINE-CVE-2023-42363", a, "busybox", "1.36.1-r27", nil, secdb},
		{"EDGE-tenth", a, "openssl", "3.3.0-r10", []string{"libcrypto3 3.3.0-r2", "libssl3 3.3.0-r2"}, versions + ": numbers"},
		{"EDGE-patch", a, "busybox", "1.36.1_p1-r0", []string{"busybox 1.36.1-r28", "busybox-binsh 1.36.1-r28"}, versions + ": _p is after"},
		{"EDGE-candidate", a, "busybox", "1.36.1_rc2-r0", nil, versions + ": _rc is before"},
		{"EDGE-other", "Alpine:v3.19", "musl", "", nil, "of another release"},
	}}
}

// rpm puts a database of go-rpmdb's tests where RPM has it.
func rpm(release, from, to string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		write(t, filepath.Join(dir, "etc/os-release"), release)
		copyFile(t, filepath.Join(module(t, "github.com/anchore/go-rpmdb"), "pkg", "testdata", from), filepath.Join(dir, to))
	}
}

func rocky() system {
	const r = "Rocky Linux:9"
	return system{
		name: "rocky-9", make: rpm("ID=rocky\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=9.3\n", "rockylinux-9/rpmdb.sqlite", "var/lib/rpm/rpmdb.sqlite"),
		expect: []expectation{
			{"RLSA-2024:2447", r, "openssl", "1:3.0.7-27.el9", []string{"openssl 1:3.0.7-24.el9", "openssl-libs 1:3.0.7-24.el9"}, tests},
			{"EDGE-itself", r, "openssl", "1:3.0.7-24.el9", nil, "the version itself"},
			{"EDGE-epoch", r, "openssl", "0:4", []string{"openssl-libs 1:3.0.7-24.el9"}, "an epoch counts first; that of a source is not told, and taken as the record's"},
			{"RLSA-2023:5763", r, "curl", "0:7.76.1-26.el9_3.2", nil, tests + ": 26.el9_3.2.0.1 is more"},
			{"EDGE-release", r, "curl", "0:7.76.1-26.el9_3.3", []string{"curl-minimal 7.76.1-26.el9_3.2.0.1", "libcurl-minimal 7.76.1-26.el9_3.2.0.1"}, tests},
			{"EDGE-other", "Rocky Linux:8", "openssl", "", nil, "of another release"},
		},
	}
}

func suse() system {
	const s = "SUSE:Linux Enterprise Server 15 SP3"
	return system{
		name: "sles-15", make: rpm("ID=sles\nID_LIKE=suse\nVERSION_ID=15.3\n", "sle15-bci/Packages.db", "usr/lib/sysimage/rpm/Packages.db"),
		expect: []expectation{
			{"SUSE-SU-2022:1061-1", s, "zlib", "1.2.11-150000.3.30.1", []string{"libz1 1.2.11-3.21.1"}, tests},
			{"SUSE-SU-2022:0832-1", s, "glibc", "2.31-150300.20.7", []string{"glibc 2.31-9.3.2"}, tests},
			{"EDGE-itself", s, "bash", "4.4-19.6.1", nil, "the version itself"},
		},
	}
}

func centos() system {
	const r = "Red Hat:enterprise_linux:7::server"
	return system{
		name: "centos-7", make: rpm("ID=centos\nID_LIKE=\"rhel fedora\"\nVERSION_ID=7\n", "centos7-plain/Packages", "var/lib/rpm/Packages"),
		gaps: []string{"limited-support centos:7"},
		expect: []expectation{
			{"RHSA-2018:3221", r, "openssl", "1:1.0.2k-16.el7", []string{"openssl-libs 1:1.0.2k-12.el7"}, tests},
			{"RHSA-2018:0998", r, "openssl", "1:1.0.2k-12.el7", nil, tests},
			{"EDGE-bash", r, "bash", "0:4.2.46-30.el7", nil, tests + ": the version itself"},
			{"EDGE-bash-next", r, "bash", "0:4.2.46-30.el7_1", []string{"bash 4.2.46-30.el7"}, tests},
		},
	}
}

func alma() system {
	const a = "AlmaLinux:8"
	return system{
		name: "alma-8", make: rpm("ID=almalinux\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=8.2\n", "centos8-modularitylabel/Packages", "var/lib/rpm/Packages"),
		expect: []expectation{
			{"ALSA-2020:4444", a, "glibc-common", "2.28-127.el8", []string{"glibc-common 2.28-101.el8"}, tests + "; AlmaLinux names binaries"},
			{"EDGE-itself", a, "pcre2", "10.32-1.el8", nil, "the version itself"},
			{"EDGE-next", a, "pcre2", "10.32-2.el8", []string{"pcre2 10.32-1.el8"}, tests},
		},
	}
}

// module returns where a module of the scanner's lies.
func module(t *testing.T, path string) string {
	t.Helper()
	dir := filepath.Join("..", "..", "cmd", "scan")
	run(t, "go", "-C", dir, "mod", "download", path)
	return output(t, dir, "go", "list", "-m", "-f", "{{.Dir}}", path)
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from) //nolint:gosec // of a module, or of a package that was unpacked
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	write(t, to, "")
	out, err := os.OpenFile(to, os.O_WRONLY, 0o600) //nolint:gosec // in a file system that the test makes
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}

//go:build rootfs

package rootfs

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// dockerfile deletes and makes again, in layers of their own, what tools write
// differently: directories, links in the place of directories and the other way round,
// hard links, opaque directories, long names.
const dockerfile = `FROM scratch
COPY root/ /
ENV PATH=/bin
RUN mkdir -p /srv/a/b /srv/c && echo 1 >/srv/a/b/f && echo 2 >/srv/a/g && ln /srv/a/g /srv/a/h && ln -s ../a/g /srv/c/l
RUN rm -rf /srv/a && mkdir /srv/a && echo new >/srv/a/only
RUN rm -rf /srv/c && ln -s a /srv/c
RUN rm /srv/c && mkdir /srv/c && echo back >/srv/c/x
RUN cp /bin/busybox /bin/two && chmod 4755 /bin/two && ln /bin/two /bin/three && mkfifo /srv/pipe && chmod 2775 /srv
RUN n=$(printf 'n%.0s' $(seq 120)); mkdir -p /srv/$n/$n && echo deep >/srv/$n/$n/$n && ln -s /srv/$n/$n/$n /srv/long && ln /srv/$n/$n/$n /srv/$n/hard
RUN rm -rf /srv/a && mkdir -p /srv/a/sub && touch "/srv/a/$(printf '\344')"
COPY Dockerfile /srv/a/sub/Dockerfile
RUN rm /etc/motd && mkdir /etc/motd && rm -rf /opt && ln -s srv /opt
`

// What tools build is read by all runtimes alike, and is no error.
func TestToolsGiveNoAlarm(t *testing.T) {
	work := t.TempDir()
	build := filepath.Join(work, "build")
	unpack(t, filepath.Join(work, "busybox"), "busybox-static")
	copyFile(t, filepath.Join(work, "busybox", "bin", "busybox"), filepath.Join(build, "root", "bin", "busybox"))
	if err := os.Chmod(filepath.Join(build, "root", "bin", "busybox"), 0o755); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	for _, name := range strings.Fields(output(t, build, "./root/bin/busybox", "--list")) {
		if name != "busybox" {
			if err := os.Symlink("busybox", filepath.Join(build, "root", "bin", name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	write(t, filepath.Join(build, "root", "etc", "motd"), "hello\n")
	write(t, filepath.Join(build, "root", "opt", "x"), "x\n")
	write(t, filepath.Join(build, "Dockerfile"), dockerfile)

	storage := []string{"--root", filepath.Join(work, "storage"), "--runroot", filepath.Join(work, "run"), "--storage-driver", "overlay"}
	buildah := func(args ...string) { output(t, work, "buildah", append(storage[:6:6], args...)...) }
	buildah("bud", "--layers", "--isolation", "chroot", "-t", "many", build)
	buildah("bud", "--isolation", "chroot", "-t", "one", build)
	buildah("push", "many", "oci:"+work+"/buildah:x")
	buildah("push", "one", "docker-archive:"+work+"/one.tar:one:x")
	output(t, work, "skopeo", "copy", "--dest-compress-format", "zstd", "--dest-compress", "--dest-decompress=false", "oci:buildah:x", "oci:skopeo:x")
	output(t, work, "skopeo", "copy", "oci:buildah:x", "oci:umoci:a")
	repack(t, work)
	ostree(t, filepath.Join(work, "tree"))
	pack(t, filepath.Join(work, "tree"), filepath.Join(work, "ostree"))
	for name, image := range map[string]string{
		"buildah, a layer for each line": "./buildah:x", "buildah, one layer": "./one.tar", "skopeo, compressed again": "./skopeo:x",
		"umoci": "./umoci:b", "OSTree's hard links": "./ostree",
	} {
		t.Run(name, func(t *testing.T) { quiet(t, work, image) })
	}
}

// repack changes an image's files as umoci does: by differences, and by insertion.
func repack(t *testing.T, work string) {
	t.Helper()
	output(t, work, "umoci", "unpack", "--image", "umoci:a", "bundle")
	output(t, filepath.Join(work, "bundle", "rootfs"), "sh", "-c", "rm -rf srv/a && ln -s c srv/a && mkdir opaque && cp bin/busybox bin/four && setcap cap_net_raw+ep bin/four")
	output(t, work, "umoci", "repack", "--image", "umoci:b", "bundle")
	output(t, work, "umoci", "insert", "--image", "umoci:b", "build/Dockerfile", "/etc/inserted")
	output(t, work, "umoci", "insert", "--image", "umoci:b", "--whiteout", "/etc/inserted")
	output(t, work, "umoci", "insert", "--image", "umoci:b", "--opaque", "build/root/etc", "/etc")
}

// ostree makes a tree whose files are hard links to the objects of a repository.
func ostree(t *testing.T, dir string) {
	t.Helper()
	from := t.TempDir()
	write(t, filepath.Join(from, "usr", "bin", "a"), "the same")
	write(t, filepath.Join(from, "usr", "bin", "b"), "the same")
	if err := os.Symlink("a", filepath.Join(from, "usr", "bin", "c")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "sysroot", "ostree", "empty"), "")
	output(t, dir, "ostree", "--repo=sysroot/ostree/repo", "init", "--mode=bare")
	output(t, dir, "ostree", "--repo=sysroot/ostree/repo", "commit", "-b", "main", from)
	output(t, dir, "ostree", "--repo=sysroot/ostree/repo", "checkout", "-H", "--union", "main", ".")
}

// quiet checks an image, whose rules may fail, and whose layers must not.
func quiet(t *testing.T, dir, image string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), scanner, "check", image, "--scan", "Off", "-o", "json") //nolint:gosec // the program under test
	cmd.Dir = dir
	out, err := cmd.Output()
	var failed *exec.ExitError
	if err != nil && (!errors.As(err, &failed) || failed.ExitCode() != 1) {
		t.Fatalf("scan check: %v\n%s", err, out)
	}
	var said struct {
		Summary struct {
			Counts   struct{ Images, Checks int }
			Findings []struct{ Check, Rule, Message string }
		}
	}
	if err := json.Unmarshal(out, &said); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if said.Summary.Counts.Images != 1 || said.Summary.Counts.Checks == 0 {
		t.Errorf("it looked at nothing: %s", out)
	}
	for _, f := range said.Summary.Findings {
		if f.Check == "layers" {
			t.Errorf("%s: %s", f.Rule, f.Message)
		}
	}
}

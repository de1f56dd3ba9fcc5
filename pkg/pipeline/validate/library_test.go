package validate_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
	"github.com/revet-dev/revet/pkg/pipeline/result"
	"github.com/revet-dev/revet/pkg/pipeline/validate"
)

// specimen is an image and what is known of it, for one rule to be tried on.
type specimen struct {
	image    oci.Image
	packages []validate.Package
	found    []result.Vulnerability
}

var libraryNow = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// soundImage passes every rule.
func soundImage() *specimen {
	created := libraryNow.AddDate(0, -1, 0)
	s := &specimen{packages: []validate.Package{{Name: "bash", Version: "5.2-1", Type: "deb"}, {Name: "liblzma5", Version: "5.6.1+really5.4.5-1", Type: "deb"}}}
	s.image.Config = oci.Config{
		Platform: oci.Platform{OS: "linux", Architecture: "amd64"},
		Created:  &created,
		Config: oci.Settings{
			User: "65532", Entrypoint: []string{"/app"}, Env: []string{"PATH=/bin", "TOKEN_FILE=/run/token"},
			Labels: map[string]string{"org.opencontainers.image.source": "https://example.com/app"},
		},
		History: []oci.Step{{CreatedBy: "COPY app /app"}},
	}
	s.image.Layers = []oci.Layer{{Descriptor: oci.Descriptor{Size: 1 << 20}}}
	return s
}

type edit func(*specimen)

func user(u string) edit { return func(s *specimen) { s.image.Config.Config.User = u } }
func env(e string) edit {
	return func(s *specimen) { s.image.Config.Config.Env = append(s.image.Config.Config.Env, e) }
}
func ran(command string) edit {
	return func(s *specimen) {
		s.image.Config.History = append(s.image.Config.History, oci.Step{CreatedBy: command})
	}
}
func label(name, value string) edit {
	return func(s *specimen) { s.image.Config.Config.Labels[name] = value }
}
func created(at time.Time) edit { return func(s *specimen) { s.image.Config.Created = &at } }
func exposes(port string) edit {
	return func(s *specimen) { s.image.Config.Config.ExposedPorts = map[string]struct{}{port: {}} }
}
func entrypoint(words ...string) edit {
	return func(s *specimen) { s.image.Config.Config.Entrypoint = words }
}
func base(name, digest string) edit {
	return func(s *specimen) {
		s.image.Annotations = map[string]string{"org.opencontainers.image.base.name": name, "org.opencontainers.image.base.digest": digest}
	}
}
func holds(name, version string) edit {
	return func(s *specimen) {
		s.packages = append(s.packages, validate.Package{Name: name, Version: version})
	}
}
func layers(n int, size int64) edit {
	return func(s *specimen) {
		s.image.Layers = nil
		for range n {
			s.image.Layers = append(s.image.Layers, oci.Layer{Descriptor: oci.Descriptor{Size: size}})
		}
	}
}
func fixable(n int, ignored *result.Ignored) edit {
	return func(s *specimen) {
		for range n {
			s.found = append(s.found, result.Vulnerability{ID: "CVE-1", Level: result.LevelLow, FixedIn: []string{"2"}, Ignored: ignored})
		}
	}
}

// libraryCases are, for each rule of the library, images that it accepts and
// images that it refuses, both beside the sound image.
var libraryCases = map[string]struct{ accepts, refuses []edit }{
	"non-root": {
		[]edit{user("1000"), user("1000:0"), user("app"), user("0100")},
		[]edit{user(""), user("root"), user("0"), user("00:1"), user("+0"), user("root:app")},
	},
	"numeric-user": {
		[]edit{user("1000"), user("1000:app"), user("root") /* non-root tells of it */},
		[]edit{user("app"), user("nobody:1000")},
	},
	"no-secret-in-env": {
		[]edit{env("DB_PASSWORD_FILE=/run/db"), env("TOKENIZERS_PARALLELISM=false"), env("DB_PASSWORD="), env("SECRET_NAME=db")},
		[]edit{env("DB_PASSWORD=not-a-real-one"), env("X=AKIA" + strings.Repeat("A", 16)), env("aws_secret_key=x"), env("K=-----BEGIN RSA PRIVATE KEY")},
	},
	"no-secret-in-history": {
		[]edit{ran("RUN --mount=type=secret,id=token login --token=$TOKEN"), ran("ENV TOKEN_FILE=/run/token")},
		[]edit{ran("RUN |1 NPM_TOKEN=not-a-real-one /bin/sh -c npm ci"), ran("RUN login ghp_" + strings.Repeat("a", 36))},
	},
	"no-secret-in-labels": {
		[]edit{label("password", "see the vault")},
		[]edit{label("ci", "glpat-"+strings.Repeat("a", 20))},
	},
	"required-labels": {
		[]edit{label("org.opencontainers.image.source", "git@example.com:app")},
		[]edit{label("org.opencontainers.image.source", ""), func(s *specimen) { s.image.Config.Config.Labels = nil }},
	},
	"not-too-old": {
		[]edit{created(libraryNow.AddDate(0, 0, -364))},
		[]edit{created(libraryNow.AddDate(0, 0, -366)), func(s *specimen) { s.image.Config.Created = nil }},
	},
	"not-from-the-future": {
		[]edit{created(libraryNow.Add(23 * time.Hour)), func(s *specimen) { s.image.Config.Created = nil }},
		[]edit{created(libraryNow.Add(25 * time.Hour)), created(libraryNow.AddDate(50, 0, 0))},
	},
	"no-exposed-logins": {
		[]edit{exposes("8080/tcp"), exposes("2222/tcp")},
		[]edit{exposes("22/tcp"), exposes("3389/tcp")},
	},
	"no-insecure-settings": {
		[]edit{env("NODE_TLS_REJECT_UNAUTHORIZED=1"), env("SSL_CERT_FILE=/etc/ssl/ca.pem")},
		[]edit{env("NODE_TLS_REJECT_UNAUTHORIZED=0"), env("GIT_SSL_NO_VERIFY=true")},
	},
	"allowed-base-image": {
		[]edit{base("docker.io/library/debian:12", ""), base("", "")},
		[]edit{base("docker.io/library/debian:12\nx", "")}, // the default allows all names; see TestAllowedBases
	},
	"pinned-base-image": {
		[]edit{base("debian:12", "sha256:"+strings.Repeat("a", 64)), base("", "")},
		[]edit{base("debian:12", ""), label("org.opencontainers.image.base.name", "debian:12")},
	},
	"forbidden-packages": {
		[]edit{holds("xz-utils", "5.4.1-0.2"), holds("xz-utils", "5.6.1+really5.4.5-1"), holds("openssh-client", "9"), holds("liblzma5", "5.6.10-1")},
		[]edit{holds("openssh-server", "9.2p1"), holds("xz-utils", "5.6.1-1"), holds("liblzma5", "5.6.0"), holds("event-stream", "3.3.6")},
	},
	"has-command": {
		[]edit{func(s *specimen) { s.image.Config.Config.Entrypoint, s.image.Config.Config.Cmd = nil, []string{"/app"} }},
		[]edit{entrypoint()},
	},
	"no-shell-form": {
		[]edit{entrypoint("/app", "-c"), entrypoint("/bin/sh", "/start.sh"), entrypoint("/app")},
		[]edit{entrypoint("/bin/sh", "-c", "app --serve"), entrypoint("sh", "-c", "app")},
	},
	"no-add-from-url": {
		[]edit{ran("ADD --checksum=sha256:aa https://example.com/x /x # buildkit"), ran("ADD x.tar /x # buildkit"), ran("RUN echo ADD https://example.com")},
		[]edit{ran("ADD https://example.com/x /x # buildkit"), ran("/bin/sh -c #(nop) ADD http://example.com/x in /x"), ran("ADD --chown=1 https://example.com/x /x")},
	},
	"no-unverified-downloads": {
		[]edit{ran("RUN curl -fsSL https://example.com/x -o x"), ran("RUN wget https://example.com/-k"), ran("RUN curl -o k https://example.com")},
		[]edit{ran("RUN curl -fk https://example.com/x"), ran("RUN curl --insecure https://x"), ran("RUN wget -q --no-check-certificate https://x"),
			ran("RUN pip install --trusted-host example.com x"), ran("RUN apt-get install -y --allow-unauthenticated x")},
	},
	"no-download-to-shell": {
		[]edit{ran("RUN curl -o x https://example.com/x && sha256sum -c x.sum && sh x"), ran("RUN curl https://example.com | tar x")},
		[]edit{ran("RUN curl -fsSL https://example.com/install | sh"), ran("RUN wget -qO- https://example.com | sudo bash -s")},
	},
	"no-package-manager-caches": {
		[]edit{ran("RUN apt-get update && apt-get install -y x && rm -rf /var/lib/apt/lists/*"), ran("RUN apk add --no-cache x"),
			ran("RUN dnf install -y x && dnf clean all"), ran("RUN --mount=type=cache,target=/var/lib/apt apt-get update")},
		[]edit{ran("RUN apt-get update && apt-get install -y x"), ran("RUN apt -y update"), ran("RUN apk add x"), ran("RUN microdnf install -y x")},
	},
	"no-setuid-in-history": {
		[]edit{ran("RUN chmod 755 /app"), ran("RUN chmod 0755 /app"), ran("RUN chmod 1777 /tmp"), ran("RUN chmod +x /usr/bin/s")},
		[]edit{ran("RUN chmod u+s /app"), ran("RUN chmod 4755 /app"), ran("RUN chmod -R 02755 /app"), ran("RUN chmod +xs /app")},
	},
	"not-too-large": {
		[]edit{layers(2, 1<<30)},
		[]edit{layers(3, 1<<30)},
	},
	"not-too-many-layers": {
		[]edit{layers(100, 1)},
		[]edit{layers(101, 1)},
	},
	"not-neglected": {
		[]edit{fixable(50, nil), fixable(60, &result.Ignored{Reason: "r", By: "policy"})},
		[]edit{fixable(51, nil)},
	},
}

// libraryFile returns the rules that are applied by default.
func libraryFile(t testing.TB) string {
	t.Helper()
	raw, err := os.ReadFile("../../../triggers/200-rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var m struct{ Data map[string]string }
	if err := yaml.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	return m.Data["rules.yaml"]
}

// failed are the rules that do not hold for s, with what is told.
func (s *specimen) failed(t *testing.T, rules validate.Rules) map[string]result.Finding {
	t.Helper()
	d, err := image.ParseDigest("sha256:" + strings.Repeat("1", 64))
	if err != nil {
		t.Fatal(err)
	}
	s.image.Manifest.Digest = d
	for i := range s.found {
		s.found[i].Digest = d
	}
	known := validate.Materials{
		Packages: map[image.Digest][]validate.Package{d: s.packages},
		Findings: &result.Findings{Vulnerabilities: s.found},
	}
	got, err := rules.CheckWith(t.Context(), oci.Tree{Root: s.image.Manifest, Images: []oci.Image{s.image}}, known, libraryNow)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Unapplied) > 0 {
		t.Errorf("%q were not applied", got.Unapplied)
	}
	failed := map[string]result.Finding{}
	for _, f := range got.Findings {
		failed[f.Rule] = f
	}
	return failed
}

// Every rule of the library has cases, accepts the images that it should, and
// refuses those that it should, with something to tell.
func TestLibrary(t *testing.T) {
	text := libraryFile(t)
	rules, err := validate.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if failed := soundImage().failed(t, rules); len(failed) > 0 {
		t.Errorf("the sound image fails %v", failed)
	}
	var file struct{ Rules []struct{ Name string } }
	if err := yaml.Unmarshal([]byte(text), &file); err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, rule := range file.Rules {
		known[rule.Name] = true
		cases := libraryCases[rule.Name]
		if len(cases.accepts) == 0 || len(cases.refuses) == 0 {
			t.Errorf("rule %s has %d images to accept and %d to refuse; it needs one of each", rule.Name, len(cases.accepts), len(cases.refuses))
		}
		for i, change := range cases.accepts {
			s := soundImage()
			change(s)
			if f, ok := s.failed(t, rules)[rule.Name]; ok {
				t.Errorf("rule %s refuses image %d that it should accept: %s", rule.Name, i, f.Message)
			}
		}
		for i, change := range cases.refuses {
			s := soundImage()
			change(s)
			if f, ok := s.failed(t, rules)[rule.Name]; !ok || f.Message == "" {
				t.Errorf("rule %s accepts image %d that it should refuse", rule.Name, i)
			}
		}
	}
	for name := range libraryCases {
		if !known[name] {
			t.Errorf("there are cases for rule %s and no such rule", name)
		}
	}
}

// The list of base images is one of whole names, as its user writes it.
func TestAllowedBases(t *testing.T) {
	text := strings.Replace(libraryFile(t), "allowedBases: ['.*']", `allowedBases: ['registry\.example\.com/base/[a-z]+:.+', 'scratch']`, 1)
	rules, err := validate.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		"registry.example.com/base/go:1":        true,
		"scratch":                               true,
		"":                                      true,
		"docker.io/library/scratch":             false,
		"evil.com/registry.example.com/base/a:": false,
		"registry.example.com/base/go":          false,
		"registryxexample.com/base/go:1":        false,
	} {
		s := soundImage()
		base(name, "sha256:x")(s)
		if _, failed := s.failed(t, rules)["allowed-base-image"]; failed == want {
			t.Errorf("base %q is allowed: %t", name, !failed)
		}
	}
}

// Rules over what nobody made are named and not counted, so that nothing holds
// that was not looked at.
func TestRulesThatCannotBeApplied(t *testing.T) {
	rules, err := validate.Parse([]byte(libraryFile(t)))
	if err != nil {
		t.Fatal(err)
	}
	s := soundImage()
	tree := oci.Tree{Images: []oci.Image{s.image}}
	for _, tt := range []struct {
		known validate.Materials
		want  string
	}{
		{validate.Materials{}, "[forbidden-packages not-neglected]"},
		{validate.Materials{Packages: map[image.Digest][]validate.Package{}}, "[not-neglected]"},
		{validate.Materials{Findings: &result.Findings{}}, "[forbidden-packages]"},
		{validate.Materials{Packages: map[image.Digest][]validate.Package{}, Findings: &result.Findings{}}, "[]"},
	} {
		got, err := rules.CheckWith(t.Context(), tree, tt.known, libraryNow)
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(got.Unapplied) != tt.want || got.Rules+len(got.Unapplied) != len(libraryCases) {
			t.Errorf("%d rules are applied and %v not, want %s", got.Rules, got.Unapplied, tt.want)
		}
	}
}

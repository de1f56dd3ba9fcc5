package gate

import (
	"math/rand/v2"
	"strings"
	"testing"

	"k8s.io/kubernetes/pkg/util/parsers"

	"github.com/revet-dev/revet/pkg/gate"
)

// stricter says why Revet refuses a name that a kubelet takes; empty if there is no reason.
func stricter(image string) string {
	name, digest, _ := strings.Cut(image, "@")
	host, _, _ := strings.Cut(name, "/")
	switch {
	case strings.HasPrefix(name, "sha256:") && !strings.Contains(name, "/"):
		return "runtimes take it for the ID of a local image"
	case digest != "" && !strings.HasPrefix(digest, "sha256:"):
		return "no verdict is about another algorithm"
	case strings.ToLower(host) != host:
		return "no registry tells hosts by case"
	case name == freshHex:
		return "it may be the ID of a local image"
	case strings.Contains(host, ".") && strings.Contains(host, "_"):
		return "a kubelet takes it for a name without any host, which no runtime can pull"
	default:
		return ""
	}
}

// A name is what the kubelet takes it for. Revet may refuse more, for reasons that are listed.
func TestNormalizeIsTheKubeletsRule(t *testing.T) {
	if part != (process{}) {
		t.SkipNow() // it needs no cluster
	}
	t.Parallel()
	parts := []string{"a", "b1", "nginx", "library", "docker.io", "index.docker.io", "localhost", "r.example", "R", "Team", ":", ":5000", ":1", "/", "/", ".", "..",
		"-", "--", "_", "__", "___", "@", "@sha256:" + freshHex, "@sha256:" + freshHex[1:], "@sha512:" + freshHex + freshHex, freshHex, "sha256:", "[::1]", " ", "\n", "é", "latest"}
	r := rand.New(rand.NewPCG(5, 6))
	accepted := 0
	for range 50_000 {
		var b strings.Builder
		for range 1 + r.IntN(7) {
			b.WriteString(parts[r.IntN(len(parts))])
		}
		image := b.String()
		repository, tag, digest, kubeletErr := parsers.ParseImageName(image)
		n, err := gate.Normalize(image)
		switch {
		case err == nil && kubeletErr != nil && len(image) > 255:
			// Its length is all that a kubelet is stricter about.
		case err == nil && kubeletErr != nil:
			t.Errorf("%q is taken as %s, and a kubelet refuses it: %v", image, n, kubeletErr)
		case err != nil && kubeletErr == nil:
			if stricter(image) == "" {
				t.Errorf("%q is refused, and a kubelet takes it as %s %s %s: %v", image, repository, tag, digest, err)
			}
		case err == nil:
			accepted++
			if want := (gate.Name{Repository: repository, Tag: tag, Digest: strings.TrimPrefix(digest, "sha256:")}); n != want {
				t.Errorf("%q is taken as %+v, and a kubelet takes it as %+v", image, n, want)
			}
		}
	}
	if accepted < 2000 {
		t.Errorf("only %d names are valid: the test compares too little", accepted)
	}
}

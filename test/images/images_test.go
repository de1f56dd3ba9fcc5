package images_test

import (
	"errors"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/registry"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
	"github.com/revet-dev/revet/pkg/pipeline/result"
	"github.com/revet-dev/revet/pkg/pipeline/validate"
	"github.com/revet-dev/revet/pkg/pipeline/verdict"
	local "github.com/revet-dev/revet/test/cluster/registry"
	"github.com/revet-dev/revet/test/images"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newRegistry(t testing.TB) string {
	t.Helper()
	s := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func defaultRules(t testing.TB) validate.Rules {
	t.Helper()
	raw, err := os.ReadFile("../../triggers/200-rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var m corev1.ConfigMap
	if err := yaml.UnmarshalStrict(raw, &m); err != nil {
		t.Fatal(err)
	}
	rules, err := validate.Parse([]byte(m.Data["rules.yaml"]))
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

// check runs the pipeline over what was pushed, without Tekton.
func check(t testing.TB, host, repository string, d image.Digest, rules validate.Rules, unpacked int64) (verdict.Verdict, error) {
	t.Helper()
	trust, err := fetch.LoadTrust("", []string{host})
	if err != nil {
		t.Fatal(err)
	}
	repo, err := image.ParseRepository(host + "/" + repository)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := oci.CreateLayout(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	source, err := fetch.NewRegistry(t.Context(), repo, fetch.Options{Trust: trust})
	if err != nil {
		return verdict.Verdict{}, err
	}
	if _, err := fetch.Fetch(t.Context(), source, d, nil, dir, fetch.Limits{Bytes: 1 << 20, Unpacked: unpacked}); err != nil {
		return verdict.Verdict{}, err
	}
	tree, err := dir.Tree(t.Context())
	if err != nil {
		return verdict.Verdict{}, err
	}
	found, err := rules.Check(t.Context(), tree, now)
	if err != nil {
		return verdict.Verdict{}, err
	}
	return verdict.Join(tree, []string{validate.CheckName}, []result.Report{found})
}

// newLocalRegistry starts the registry of the local cluster.
func newLocalRegistry(t testing.TB) string {
	t.Helper()
	r, err := local.Start(t.Context(), local.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Stop(); err != nil {
			t.Errorf("stop the registry: %v", err)
		}
	})
	return r.Addr()
}

// Every sample gets the verdict that it says it deserves, under the digest
// that Push returned, from a registry that checks little and from one that
// checks much.
func TestSamples(t *testing.T) {
	t.Run("go-containerregistry", func(t *testing.T) { testSamples(t, newRegistry(t)) })
	t.Run("distribution", func(t *testing.T) { testSamples(t, newLocalRegistry(t)) })
}

func testSamples(t *testing.T, host string) {
	t.Helper()
	rules := defaultRules(t)
	for _, s := range images.All() {
		t.Run(s.Name, func(t *testing.T) {
			d, err := images.Push(t.Context(), host+"/demo/"+s.Name+":v1", s, images.Options{Now: now})
			if err != nil {
				t.Fatal(err)
			}
			got, err := check(t, host, "demo/"+s.Name, d, rules, 1<<20)
			if s.Verdict == images.VerdictError {
				var e *oci.Error
				if !errors.As(err, &e) || string(e.Reason) != s.Reason {
					t.Errorf("error is %v, want the reason %s", err, s.Reason)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var failed []string
			for _, f := range got.Summary.Findings {
				if !slices.Contains(failed, f.Rule) {
					failed = append(failed, f.Rule)
				}
			}
			if string(got.Value) != string(s.Verdict) || got.Digest != d {
				t.Errorf("verdict %s on %s, want %s on %s", got.Value, got.Digest, s.Verdict, d)
			}
			if diff := cmp.Diff(s.Rules, failed); diff != "" {
				t.Errorf("rules (-want +got):\n%s", diff)
			}
		})
	}
}

// A bomb is refused before it is unpacked, by what a layer may unpack to as a
// multiple of its size.
func TestABombIsRefused(t *testing.T) {
	host := newRegistry(t)
	s := images.Bomb(256 << 20)
	d, err := images.Push(t.Context(), host+"/demo/bomb:v1", s, images.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	_, err = check(t, host, "demo/bomb", d, defaultRules(t), 1<<30)
	var e *oci.Error
	if !errors.As(err, &e) || string(e.Reason) != s.Reason {
		t.Errorf("error is %v, want the reason %s", err, s.Reason)
	}
}

// The same options give the same digest; another salt gives another.
func TestDigestsFollowFromTheOptions(t *testing.T) {
	host := newRegistry(t)
	for _, s := range slices.Concat(images.All(), images.Hostile()) {
		digests := map[string]image.Digest{}
		for tag, salt := range map[string]string{"a": "one", "b": "one", "c": "two"} {
			d, err := images.Push(t.Context(), host+"/demo/"+s.Name+":"+tag, s, images.Options{Now: now, Salt: salt})
			if err != nil {
				t.Fatal(err)
			}
			digests[tag] = d
		}
		if digests["a"] != digests["b"] || digests["a"] == digests["c"] {
			t.Errorf("%s: digests are %v; want a and b alike and c another", s.Name, digests)
		}
	}
}

// BenchmarkPipeline measures fetch, validate and verdict over a good image.
func BenchmarkPipeline(b *testing.B) {
	host := newRegistry(b)
	d, err := images.Push(b.Context(), host+"/demo/good:v1", images.Good(), images.Options{Now: now})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := check(b, host, "demo/good", d, defaultRules(b), 1<<20); err != nil {
			b.Fatal(err)
		}
	}
}

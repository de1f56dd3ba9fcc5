package registry_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/source"
	"github.com/revet-dev/revet/pkg/source/registry"
)

// fill pushes one image under each name.
func fill(t *testing.T, host string, names ...string) {
	t.Helper()
	img, err := random.Image(16, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		ref, err := name.ParseReference(host+"/"+n, name.Insecure)
		if err != nil {
			t.Fatal(err)
		}
		if err := remote.Write(ref, img); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTagsAndRepositoriesAreListed(t *testing.T) {
	host := server(t, nil)
	var all []string
	for i := range 5 {
		all = append(all, fmt.Sprintf("v%d", i))
		fill(t, host, fmt.Sprintf("team/a:v%d", i))
	}
	fill(t, host, "team/b:latest")
	c := registry.New(plain(host))

	var tags []string
	err := c.Tags(t.Context(), repository(t, host+"/team/a"), shop, func(tag string) { tags = append(tags, tag) })
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(tags)
	if diff := cmp.Diff(all, tags); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
	var repositories []string
	err = c.Repositories(t.Context(), host, shop, func(r image.Repository) { repositories = append(repositories, r.Path()) })
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(repositories)
	if diff := cmp.Diff([]string{"team/a", "team/b"}, repositories); diff != "" {
		t.Errorf("repositories (-want +got):\n%s", diff)
	}
}

func TestListsThatFailSayWhy(t *testing.T) {
	answer := func(status int) func(http.Handler) http.Handler {
		return func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/v2/" {
					next.ServeHTTP(w, r)
					return
				}
				w.WriteHeader(status)
			})
		}
	}
	for _, test := range []struct {
		name   string
		status int
		listed bool
		want   string
	}{
		{"a host that is not listed", 200, false, string(source.NotAllowed)},
		{"nothing there", 404, true, string(source.NotFound)},
		{"not for this account", 401, true, string(source.Denied)},
		{"a registry that is ill", 500, true, passing},
	} {
		t.Run(test.name, func(t *testing.T) {
			host := server(t, answer(test.status))
			policy := plain("other.example.com")
			if test.listed {
				policy = plain(host)
			}
			c, as := registry.New(policy), shop
			for what, list := range map[string]func(context.Context) error{
				"tags": func(ctx context.Context) error {
					return c.Tags(ctx, repository(t, host+"/team/a"), as, func(string) { t.Error("a tag") })
				},
				"catalogue": func(ctx context.Context) error {
					return c.Repositories(ctx, host, as, func(image.Repository) { t.Error("a repository") })
				},
			} {
				if got := kindOf(list(t.Context())); got != test.want {
					t.Errorf("%s: reason %q, want %q", what, got, test.want)
				}
			}
		})
	}
}

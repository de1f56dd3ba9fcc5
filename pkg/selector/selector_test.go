package selector_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/selector"
)

var created = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func trigger(images ...v1alpha1.ImageSelector) *v1alpha1.ImageTrigger {
	t := &v1alpha1.ImageTrigger{Spec: v1alpha1.ImageTriggerSpec{Images: images}}
	t.Namespace, t.CreationTimestamp = "demo", metav1.NewTime(created)
	return t
}

func streams(s v1alpha1.ImageStreamSelector, tags ...string) v1alpha1.ImageSelector {
	return v1alpha1.ImageSelector{ImageStreams: &s, Tags: v1alpha1.TagSelector{Include: tags}}
}

func repository(pattern string, tags ...string) v1alpha1.ImageSelector {
	return v1alpha1.ImageSelector{Repository: pattern, Tags: v1alpha1.TagSelector{Include: tags}}
}

func label(name, value string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{name: value}}
}

func compile(t *testing.T, tr *v1alpha1.ImageTrigger) *selector.Selector {
	t.Helper()
	s, err := selector.Compile(tr)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStreams(t *testing.T) {
	all := v1alpha1.ImageStreamSelector{}
	anywhere := v1alpha1.ImageStreamSelector{NamespaceSelector: &metav1.LabelSelector{}}
	prod := v1alpha1.ImageStreamSelector{NamespaceSelector: label("env", "prod"), Names: []string{"web-*", "api"}, Selector: label("tier", "1")}
	envProd, tier1 := map[string]string{"env": "prod"}, map[string]string{"tier": "1"}
	for _, test := range []struct {
		name                string
		images              []v1alpha1.ImageSelector
		namespace           string
		namespaceLabels     map[string]string
		stream              string
		streamLabels        map[string]string
		tag                 string
		wantStream, wantTag bool
	}{
		{"own namespace", []v1alpha1.ImageSelector{streams(all)}, "demo", nil, "app", nil, "latest", true, true},
		{"another namespace, none selected", []v1alpha1.ImageSelector{streams(all)}, "prod", envProd, "app", nil, "latest", false, false},
		{"another namespace, all selected", []v1alpha1.ImageSelector{streams(anywhere)}, "prod", nil, "app", nil, "latest", true, true},
		{"everything matches", []v1alpha1.ImageSelector{streams(prod)}, "x", envProd, "web-1", tier1, "v1", true, true},
		{"the second name", []v1alpha1.ImageSelector{streams(prod)}, "x", envProd, "api", tier1, "v1", true, true},
		{"no name matches whole", []v1alpha1.ImageSelector{streams(prod)}, "x", envProd, "api2", tier1, "v1", false, false},
		{"the namespace's labels differ", []v1alpha1.ImageSelector{streams(prod)}, "x", map[string]string{"env": "test"}, "api", tier1, "v1", false, false},
		{"the own namespace's labels differ too", []v1alpha1.ImageSelector{streams(prod)}, "demo", nil, "api", tier1, "v1", false, false},
		{"the stream's labels differ", []v1alpha1.ImageSelector{streams(prod)}, "x", envProd, "api", nil, "v1", false, false},
		{"a tag that is not included", []v1alpha1.ImageSelector{streams(all, "v*")}, "demo", nil, "app", nil, "latest", true, false},
		{"a tag of another entry", []v1alpha1.ImageSelector{
			streams(v1alpha1.ImageStreamSelector{Names: []string{"app"}}, "v*"),
			streams(v1alpha1.ImageStreamSelector{Names: []string{"web"}}, "latest"),
		}, "demo", nil, "app", nil, "latest", true, false},
		{"a tag of a second entry for the same stream", []v1alpha1.ImageSelector{
			streams(v1alpha1.ImageStreamSelector{Names: []string{"app"}}, "v*"), streams(all, "latest"),
		}, "demo", nil, "app", nil, "latest", true, true},
		{"an entry for registries", []v1alpha1.ImageSelector{repository("r.example/**")}, "demo", nil, "app", nil, "latest", false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := compile(t, trigger(test.images...))
			tags := s.Stream(test.namespace, test.namespaceLabels, test.stream, test.streamLabels)
			if tags.Empty() == test.wantStream {
				t.Errorf("stream admitted: %t, want %t", !tags.Empty(), test.wantStream)
			}
			if got := tags.Admit(test.tag); got != test.wantTag {
				t.Errorf("tag admitted: %t, want %t", got, test.wantTag)
			}
		})
	}
}

func TestRepositories(t *testing.T) {
	for _, test := range []struct {
		pattern, repository string
		want                bool
	}{
		{"r.example/team/app", "r.example/team/app", true},
		{"r.example/team/app", "r.example/team/app2", false},
		{"r.example/team/app", "r.example/team/app/x", false},
		{"r.example/team/app", "other.example/team/app", false},
		{"R.example/team/app", "r.Example/team/app", true},
		{"r.example:5000/team/app", "r.example:5000/team/app", true},
		{"r.example:5000/team/app", "r.example/team/app", false},
		{"r.example/team/*", "r.example/team/app", true},
		{"r.example/team/*", "r.example/team/app/x", false},
		{"r.example/team/*", "r.example/team", false},
		{"r.example/te?m/a*p", "r.example/team/ap", true},
		{"r.example/**", "r.example/a", true},
		{"r.example/**", "r.example/a/b/c", true},
		{"r.example/team/**", "r.example/team/a/b", true},
		{"r.example/team/**", "r.example/team", true},
		{"r.example/team/**", "r.example/team2/a", false},
		{"r.example/**/app", "r.example/app", true},
		{"r.example/**/app", "r.example/a/b/app", true},
		{"r.example/**/app", "r.example/a/b/app/x", false},
		{"r.example/**/a/**/b", "r.example/a/x/a/y/b", true},
		{"r.example/**/a/*/b", "r.example/a/x/a/y/b", true},
		{"r.example/**/a/*/b", "r.example/a/x/y/b", false},
	} {
		t.Run(test.pattern+" and "+test.repository, func(t *testing.T) {
			r, err := image.ParseRepository(test.repository)
			if err != nil {
				t.Fatal(err)
			}
			s := compile(t, trigger(repository(test.pattern, "v*")))
			if got := s.MatchesRepository(r); got != test.want {
				t.Errorf("matches: %t, want %t", got, test.want)
			}
			if got := s.Repository(r).Admit("v1"); got != test.want {
				t.Errorf("v1 admitted: %t, want %t", got, test.want)
			}
			if s.Repository(r).Admit("latest") {
				t.Error("latest is admitted")
			}
		})
	}
}

func TestTags(t *testing.T) {
	for _, test := range []struct {
		name             string
		include, exclude []string
		tag              string
		want             bool
	}{
		{"no patterns admit all", nil, nil, "latest", true},
		{"excluded", nil, []string{"*-dev"}, "v1-dev", false},
		{"not excluded", nil, []string{"*-dev"}, "v1-dev2", true},
		{"included and excluded", []string{"v*"}, []string{"*-dev"}, "v1-dev", false},
		{"included", []string{"v*"}, []string{"*-dev"}, "v1", true},
		{"a dot is a dot", []string{"v1.0"}, nil, "v1x0", false},
		{"one character", []string{"v?"}, nil, "v12", false},
		{"anchored at its end", []string{"v1"}, nil, "v1.1", false},
		{"anchored at its beginning", []string{"1"}, nil, "v1", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := streams(v1alpha1.ImageStreamSelector{})
			e.Tags = v1alpha1.TagSelector{Include: test.include, Exclude: test.exclude}
			if got := compile(t, trigger(e)).Stream("demo", nil, "app", nil).Admit(test.tag); got != test.want {
				t.Errorf("admitted: %t, want %t", got, test.want)
			}
		})
	}
	if (selector.Tags{}).Admit("latest") || !(selector.Tags{}).Empty() {
		t.Error("the zero Tags admits something")
	}
}

// An error names the field, and says what is wrong with it.
func TestCompileNamesTheField(t *testing.T) {
	good := streams(v1alpha1.ImageStreamSelector{})
	badLabels := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "x", Operator: "Near"}}}
	both := good
	both.Repository = "r.example/x"
	excluded := good
	excluded.Tags.Exclude = []string{"ok", "a/b"}
	for _, test := range []struct {
		name   string
		images []v1alpha1.ImageSelector
		field  string
	}{
		{"no entries", nil, "spec.images"},
		{"an empty entry", []v1alpha1.ImageSelector{good, {}}, "spec.images[1]"},
		{"both kinds in one entry", []v1alpha1.ImageSelector{both}, "spec.images[0]"},
		{"a repository without a path", []v1alpha1.ImageSelector{good, good, repository("r.example")}, "spec.images[2].repository"},
		{"a wildcard for the host", []v1alpha1.ImageSelector{repository("*/team/app")}, "spec.images[0].repository"},
		{"an empty path", []v1alpha1.ImageSelector{repository("r.example/")}, "spec.images[0].repository"},
		{"an empty segment", []v1alpha1.ImageSelector{repository("r.example/a//b")}, "spec.images[0].repository"},
		{"** in a segment", []v1alpha1.ImageSelector{repository("r.example/a**")}, "spec.images[0].repository"},
		{"a bracket", []v1alpha1.ImageSelector{repository("r.example/[a")}, "spec.images[0].repository"},
		{"a backslash", []v1alpha1.ImageSelector{repository(`r.example/a\`)}, "spec.images[0].repository"},
		{"a slash in a name", []v1alpha1.ImageSelector{streams(v1alpha1.ImageStreamSelector{Names: []string{"demo/app"}})}, "spec.images[0].imageStreams.names[0]"},
		{"an empty name", []v1alpha1.ImageSelector{streams(v1alpha1.ImageStreamSelector{Names: []string{"a", ""}})}, "spec.images[0].imageStreams.names[1]"},
		{"a bad label selector", []v1alpha1.ImageSelector{streams(v1alpha1.ImageStreamSelector{Selector: badLabels})}, "spec.images[0].imageStreams.selector"},
		{"a bad namespace selector", []v1alpha1.ImageSelector{streams(v1alpha1.ImageStreamSelector{NamespaceSelector: badLabels})}, "spec.images[0].imageStreams.namespaceSelector"},
		{"** in a tag", []v1alpha1.ImageSelector{streams(v1alpha1.ImageStreamSelector{}, "v1", "**")}, "spec.images[0].tags.include[1]"},
		{"a slash in an excluded tag", []v1alpha1.ImageSelector{excluded}, "spec.images[0].tags.exclude[1]"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, err := selector.Compile(trigger(test.images...))
			var fieldErr *selector.FieldError
			if !errors.As(err, &fieldErr) || s != nil {
				t.Fatalf("error %v, selector %v", err, s)
			}
			if diff := cmp.Diff(test.field, fieldErr.Field); diff != "" {
				t.Errorf("field (-want +got):\n%s", diff)
			}
			if !strings.HasPrefix(err.Error(), test.field+": ") {
				t.Errorf("the error does not begin with the field: %v", err)
			}
		})
	}
}

func TestWhenAPushCounts(t *testing.T) {
	ignore, verify := trigger(streams(v1alpha1.ImageStreamSelector{})), trigger(streams(v1alpha1.ImageStreamSelector{}))
	verify.Spec.Existing = v1alpha1.ExistingVerify
	for _, test := range []struct {
		name    string
		trigger *v1alpha1.ImageTrigger
		age     time.Duration // before the trigger
		head    bool
		want    bool
	}{
		{"after the trigger", ignore, -time.Second, true, true},
		{"within what clocks may differ", ignore, 2 * time.Minute, false, true},
		{"before it", ignore, 2*time.Minute + time.Second, true, false},
		{"an old head that is to be verified", verify, 24 * time.Hour, true, true},
		{"old history is not", verify, 24 * time.Hour, false, false},
		{"new history is", verify, 0, false, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := compile(t, test.trigger)
			if got := s.AdmitTime(created.Add(-test.age), test.head); got != test.want {
				t.Errorf("admitted: %t, want %t", got, test.want)
			}
		})
	}
	if got, want := compile(t, ignore).Since(), created.Add(-2*time.Minute); !got.Equal(want) {
		t.Errorf("since %v, want %v", got, want)
	}
}

func TestWhatASelectorLooksAt(t *testing.T) {
	s := compile(t, trigger(repository("B.example/x"), repository("a.example:5000/x"), repository("b.example/y")))
	if diff := cmp.Diff([]string{"b.example", "a.example:5000"}, s.Hosts()); diff != "" {
		t.Errorf("hosts (-want +got):\n%s", diff)
	}
	if any, others := s.SelectsStreams(); any || others {
		t.Error("it selects streams")
	}
	if any, others := compile(t, trigger(streams(v1alpha1.ImageStreamSelector{}))).SelectsStreams(); !any || others {
		t.Errorf("streams of the own namespace: %t, %t", any, others)
	}
	if any, others := compile(t, trigger(streams(v1alpha1.ImageStreamSelector{NamespaceSelector: &metav1.LabelSelector{}}))).SelectsStreams(); !any || !others {
		t.Errorf("streams of other namespaces: %t, %t", any, others)
	}
}

// A pattern that makes a naive matcher try every split answers at once.
func TestHostilePatternsAreQuick(t *testing.T) {
	long := strings.Repeat("a", 250)
	deep := strings.TrimSuffix(strings.Repeat("a/", 127), "/")
	for _, test := range []struct{ pattern, repository string }{
		{"r.example/" + strings.Repeat("a*", 100) + "b", "r.example/" + long},
		{"r.example/" + strings.Repeat("**/a/", 60) + "b", "r.example/" + deep},
	} {
		names, err := selector.ParseNames(test.pattern) // which bounds no wildcards
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if names.Match(test.repository, nil) {
			t.Errorf("%q matches", test.pattern)
		}
		if took := time.Since(begin); took > time.Second {
			t.Errorf("%q took %v", test.pattern, took)
		}
	}
}

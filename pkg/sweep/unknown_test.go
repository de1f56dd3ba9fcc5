package sweep

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	imagev1 "github.com/openshift/api/image/v1"
	"go.opentelemetry.io/otel/sdk/metric"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/source"
)

// reasons prints what a result does not know: "reason count".
func reasons(r Result) []string {
	var all []string
	for _, u := range r.Unknown {
		all = append(all, fmt.Sprintf("%s %d", u.Reason, u.Count))
	}
	return all
}

// checkUnknown compares a result's state and what it does not know, each with its cure.
func checkUnknown(t *testing.T, r Result, want []string) {
	t.Helper()
	state := v1alpha1.CoverageCovered
	if len(want) > 0 {
		state = v1alpha1.CoverageNotKnown
	}
	if diff := cmp.Diff(want, reasons(r)); diff != "" || r.Coverage() != state || (r.Reason == "") != (len(want) == 0) {
		t.Errorf("state %q, want %q; reason %q; not known (-want +got):\n%s", r.Coverage(), state, r.Reason, diff)
	}
	for _, u := range r.Unknown {
		if u.Message == "" || u.Cure == "" {
			t.Errorf("no cause or cure: %+v", u)
		}
	}
}

// odd is a stream with one tag, whose items are changed.
func odd(namespace string, items []item, change func([]imagev1.TagEvent)) *imagev1.ImageStream {
	is := stream(namespace, "app", map[string][]item{"v1": items})
	change(is.Status.Tags[0].Items)
	return is
}

func sha512(i int) func([]imagev1.TagEvent) {
	return func(items []imagev1.TagEvent) { items[i].Image = "sha512:" + strings.Repeat("0a", 64) }
}

// Property: what a sweep of streams could not see is not known, whatever kept it from it; and
// what there is to see, and was seen, is known.
func TestStreamsThatCouldNotBeSeenAreNotKnown(t *testing.T) {
	hide := func(names ...string) func(*env) {
		return func(w *env) {
			for _, n := range names {
				w.denied[n] = true
			}
		}
	}
	failLists := func(err error) func(*env) {
		return func(w *env) {
			w.funcs.List = func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error { return err }
		}
	}
	named := func(t *v1alpha1.ImageTrigger) { t.Spec.Images[0].ImageStreams.Names = []string{"app", "w*"} }
	old := map[string][]item{"v1": {{1, -600}}}
	for _, test := range []struct {
		name    string
		streams []client.Object
		trigger *v1alpha1.ImageTrigger
		prepare func(*env)
		want    []string
	}{
		{"everything is seen", []client.Object{stream("team-a", "app", old)}, trigger(), nil, nil},
		{"nothing is selected", nil, trigger(), nil, nil},
		{"a stream that no tool can pull a tag of", []client.Object{stream("team-a", "app", map[string][]item{`"$(evil)`: {{1, 10}}})}, trigger(), nil, nil},
		{"the account sees the streams that are named, and no others", []client.Object{stream("team-a", "app", old)}, trigger(named), hide("team-a/"), nil},
		{"the account sees a named stream that is not there yet", nil, trigger(named), hide("team-a/"), nil},
		{"nothing is selected elsewhere", nil, trigger(everywhere), hide("/", "team-a/", "team-b/"), nil},

		{"the account sees nothing, and something is new", []client.Object{stream("team-a", "app", map[string][]item{"v1": {{1, 10}}})}, trigger(), hide("team-a/", "team-a/app"), []string{"StreamsNotVisible 1"}},
		{"the account sees nothing, and nothing is new", []client.Object{stream("team-a", "app", old)}, trigger(), hide("team-a/", "team-a/app"), []string{"StreamsNotVisible 1"}},
		{"the account sees nothing, and nothing is there", nil, trigger(), hide("team-a/"), []string{"StreamsNotVisible 1"}},
		{"the account sees none of the named streams, which are not there", nil, trigger(named), hide("team-a/", "team-a/app"), []string{"StreamsNotVisible 1"}},
		{"the account sees one of two streams", []client.Object{stream("team-a", "app", old), stream("team-a", "web", old)}, trigger(), hide("team-a/", "team-a/web"), []string{"StreamsNotVisible 1"}},
		{"the account sees one of two namespaces", []client.Object{stream("team-a", "app", old), stream("team-b", "web", old)}, trigger(everywhere), hide("/", "team-b/", "team-b/web"), []string{"StreamsNotVisible 1"}},
		{"nobody can ask what the account sees", []client.Object{stream("team-a", "app", old)}, trigger(), func(w *env) { w.unasked = errors.New("the authorizer is away") }, []string{"ReadFailed 1"}},

		{"a head of another algorithm", []client.Object{odd("team-a", []item{{1, 10}}, sha512(0))}, trigger(), nil, []string{"DigestUnsupported 1"}},
		{"a history of another algorithm", []client.Object{odd("team-a", []item{{1, 20}, {2, 10}}, sha512(1))}, trigger(), nil, []string{"DigestUnsupported 1"}},
		{"a digest of another algorithm from before the trigger", []client.Object{odd("team-a", []item{{1, 20}, {2, -600}}, sha512(1))}, trigger(), nil, nil},
		{"a head of another algorithm in a stream that the account does not see", []client.Object{odd("team-a", []item{{1, 10}}, sha512(0))}, trigger(), hide("team-a/", "team-a/app"), []string{"StreamsNotVisible 1"}},
		{"an item without a time", []client.Object{odd("team-a", []item{{1, 10}}, func(i []imagev1.TagEvent) { i[0].Created = metav1.Time{} })}, trigger(), nil, []string{"ItemNotReadable 1"}},
		{"a namespace that appeared during the sweep", []client.Object{stream("team-c", "app", old)}, trigger(everywhere), nil, []string{"NamespaceNotRead 1"}},
		{"a namespace that appeared, for a trigger that selects its own", []client.Object{stream("team-c", "app", old)}, trigger(), nil, nil},

		{"an API server that is away", nil, trigger(), failLists(errors.New("connection refused")), []string{"ReadFailed 1"}},
		{"an API server that does not answer in time", nil, trigger(), failLists(fmt.Errorf("listing: %w", context.DeadlineExceeded)), []string{"TimedOut 1"}},
		{"an API server that forbids", nil, trigger(), failLists(apierrors.NewForbidden(imagev1.Resource("imagestreams"), "", errors.New("no"))), []string{"ReadFailed 1"}},
		{"namespaces that cannot be listed", nil, trigger(everywhere), failLists(errors.New("connection refused")), []string{"ReadFailed 1"}},
		{"no ImageStreams", nil, trigger(), failLists(&meta.NoKindMatchError{}), []string{"NoImageStreams 1"}},
		{"a second page that breaks", nil, trigger(), func(w *env) {
			w.funcs.List = func(_ context.Context, _ client.WithWatch, l client.ObjectList, opts ...client.ListOption) error {
				var o client.ListOptions
				if o.ApplyOptions(opts); o.Continue != "" {
					return errors.New("connection reset")
				}
				list := l.(*imagev1.ImageStreamList)
				list.Items, list.Continue = append(list.Items, *stream("team-a", "app", old)), "more"
				return nil
			}
		}, []string{"ReadFailed 1"}},
		{"an Image that cannot be read", []client.Object{stream("team-a", "app", map[string][]item{"v1": {{1, 10}}})}, trigger(), func(w *env) { w.unreadable = digest(1) }, []string{"ReadFailed 1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			namespaces := []client.Object{
				&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "team-a"}}, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "team-b"}},
			}
			w := newEnv(t, append(namespaces, test.streams...)...)
			if test.prepare != nil {
				test.prepare(w)
			}
			checkUnknown(t, w.sweep(test.trigger), test.want)
		})
	}
}

// A namespace that appears during a pass makes only those triggers not known that select
// other namespaces than their own.
func TestANamespaceThatAppearedConcernsNobodyElse(t *testing.T) {
	w := newEnv(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "team-a"}}, stream("team-c", "app", map[string][]item{"v1": {{1, -600}}}))
	own, all := trigger(), trigger(everywhere)
	all.Name, all.UID = "everywhere", "everywhere"
	results := w.sweeper.Once(t.Context(), own, all)
	checkUnknown(t, results[0], nil)
	checkUnknown(t, results[1], []string{"NamespaceNotRead 1"})
}

// An account that loses its rights would miss the next push, though all there is is covered.
func TestAnAccountThatLosesItsRightsIsNotKnown(t *testing.T) {
	w := newEnv(t, stream("team-a", "app", map[string][]item{"v1": {{1, 10}}}))
	checkUnknown(t, w.sweep(trigger()), nil)
	w.sweeper.access = newAccess(w.sweeper.Cluster, w.sweeper.Now) // a minute later
	w.denied["team-a/"], w.denied["team-a/app"] = true, true
	r := w.sweep(trigger())
	checkUnknown(t, r, []string{"StreamsNotVisible 1"})
	if r.Pushes != 1 || r.Gap != 0 || !strings.Contains(r.Message, account.GrantImageStreams("team-a")) {
		t.Errorf("result %+v", r)
	}
}

// A message names some namespaces, and no stream, which the trigger's owner may not know of.
// Of streams that show nothing new, only a few are asked about.
func TestHiddenStreamsAreNamedByNamespace(t *testing.T) {
	objects := []client.Object{}
	for i := range 6 {
		namespace := fmt.Sprintf("team-%d", i)
		objects = append(objects, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, stream(namespace, fmt.Sprintf("secret-%d", i), map[string][]item{"v1": {{1, 10}}}))
		objects = append(objects, stream(namespace, "quiet", map[string][]item{"v1": {{1, -600}}}))
	}
	w := newEnv(t, objects...)
	w.sweeper.options.Concurrency = 1
	for i := range 6 {
		for _, n := range []string{"", "quiet", fmt.Sprintf("secret-%d", i)} {
			w.denied[fmt.Sprintf("team-%d/%s", i, n)] = true
		}
	}
	w.denied["/"] = true
	r := w.sweep(trigger(everywhere))
	want := `service account "default" may not get ImageStreams in namespaces "team-0", "team-1", "team-2" and 3 more, so Revet records no push to them`
	if len(r.Unknown) != 1 || r.Unknown[0].Message != want || r.Unknown[0].Count < 6 || r.Unknown[0].Count > 6+maxHiddenAsked || r.Pushes != 0 {
		t.Errorf("result %+v", r)
	}
	if all := fmt.Sprint(r); strings.Contains(all, "secret") || strings.Contains(all, "quiet") {
		t.Errorf("the result names a stream: %s", all)
	}
}

// oddLists is a registry that lists in its own way.
type oddLists struct {
	*fakeRegistry
	tags func(ctx context.Context, each func(string)) error
	// leaveOut is a repository that the catalogue does not list.
	leaveOut string
}

func (o *oddLists) Tags(ctx context.Context, r image.Repository, as source.Account, each func(string)) error {
	if o.tags != nil {
		return o.tags(ctx, each)
	}
	return o.fakeRegistry.Tags(ctx, r, as, each)
}

func (o *oddLists) Repositories(ctx context.Context, host string, as source.Account, each func(image.Repository)) error {
	return o.fakeRegistry.Repositories(ctx, host, as, func(r image.Repository) {
		if r.String() != o.leaveOut {
			each(r)
		}
	})
}

// Property: what a sweep of registries could not see is not known, whatever kept it from it.
func TestRegistriesThatCouldNotBeSeenAreNotKnown(t *testing.T) {
	refusal := func(r source.Reason) error { return &source.Refusal{Reason: r, Err: errors.New("no")} }
	refuse := func(what string, err error) func(*oddLists) {
		return func(o *oddLists) { o.refuse[what] = err }
	}
	wild := registries("registry.example.com/team/*")
	for _, test := range []struct {
		name    string
		trigger *v1alpha1.ImageTrigger
		prepare func(*oddLists)
		want    []string
	}{
		{"everything is seen", registries(repositoryA), nil, nil},
		{"a repository that is not there yet", registries("registry.example.com/team/new"), refuse("registry.example.com/team/new", refusal(source.NotFound)), nil},
		{"a catalogue in which nothing is selected", registries("registry.example.com/nobody/*"), nil, nil},
		{"a tag that was deleted since it was listed", registries(repositoryA), refuse(repositoryA+":v1", refusal(source.NotFound)), nil},

		{"other credentials are needed", registries(repositoryA), refuse(repositoryA, refusal(source.Denied)), []string{"RegistryDenied 1"}},
		{"the operator does not list it", registries(repositoryA), refuse(repositoryA, refusal(source.NotAllowed)), []string{"RegistryNotAllowed 1"}},
		{"nobody trusts its certificate", registries(repositoryA), refuse(repositoryA, refusal(source.Untrusted)), []string{"RegistryUntrusted 1"}},
		{"nobody knows what the operator lists", registries(repositoryA), refuse(repositoryA, refusal(source.NotListed)), []string{"NotListed 1"}},
		{"it asks for no more requests", registries(repositoryA), refuse(repositoryA, &source.RetryAfterError{Host: "registry.example.com", Until: at(7200), Err: errors.New("429")}), []string{"RegistryPutOff 2"}},
		{"it is away", registries(repositoryA), refuse(repositoryA, errors.New("connection refused")), []string{"ReadFailed 1"}},
		{"it does not answer in time", registries(repositoryA), refuse(repositoryA, fmt.Errorf("tags: %w", context.DeadlineExceeded)), []string{"TimedOut 1"}},
		{"it has no catalogue", wild, refuse("catalogue", refusal(source.NotFound)), []string{"NotFound 1"}},
		{"its catalogue shows nothing", wild, func(o *oddLists) { clear(o.fakeRegistry.tags) }, []string{"CatalogueIncomplete 1"}},
		{"its catalogue breaks off", wild, refuse("catalogue", errors.New("unexpected EOF")), []string{"ReadFailed 1"}},
		{"a head of another algorithm", registries(repositoryA), refuse(repositoryA+":v1", refusal(source.DigestUnsupported)), []string{"DigestUnsupported 1"}},
		{"a head that cannot be read", registries(repositoryA), refuse(repositoryA+":v1", refusal(source.Unreadable)), []string{"RegistryUnreadable 1"}},
		{"a manifest that went away", registries(repositoryA), refuse("content", refusal(source.NotFound)), []string{"NotFound 1"}},
		{"a manifest that does not come", registries(repositoryA), refuse("content", errors.New("502")), []string{"ReadFailed 1"}},
		{"a second page that is not there", registries(repositoryA), func(o *oddLists) {
			o.tags = func(_ context.Context, each func(string)) error { each("v1"); return refusal(source.NotFound) }
		}, []string{"NotFound 1"}},
		{"a list without end", registries(repositoryA), func(o *oddLists) {
			o.tags = func(ctx context.Context, each func(string)) error { each("v1"); <-ctx.Done(); return ctx.Err() }
		}, []string{"TimedOut 1"}},
		{"a list that ends when its time is over", registries(repositoryA), func(o *oddLists) {
			o.tags = func(ctx context.Context, each func(string)) error { each("v1"); <-ctx.Done(); return nil }
		}, []string{"TimedOut 1"}},
		{"a list that is too long", registries(repositoryA), func(o *oddLists) {
			o.tags = func(ctx context.Context, each func(string)) error {
				for ctx.Err() == nil {
					each("v1")
				}
				return ctx.Err()
			}
		}, []string{"RegistryUnreadable 1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newEnv(t)
			w.registry.set(repositoryA, "v1", 1)
			lists := &oddLists{fakeRegistry: w.registry}
			w.sweeper.Registry = lists
			w.sweeper.options.ListTimeout, w.sweeper.options.MaxListed = 200*time.Millisecond, 1000
			if test.prepare != nil {
				test.prepare(lists)
			}
			checkUnknown(t, w.sweep(test.trigger), test.want)
		})
	}
	t.Run("sweeps are switched off", func(t *testing.T) {
		w := newEnv(t)
		w.sweeper.Registry = nil
		r := w.sweep(registries(repositoryA))
		checkUnknown(t, r, []string{"SweepsOff 1"})
		if r.Reason != RegistryNotSwept {
			t.Errorf("reason %q", r.Reason)
		}
	})
}

// A registry that says that a named repository is gone, of which the ledger has pushes, may
// hide it. What nobody named may be deleted.
func TestARepositoryThatGoesIsNotKnownIfItIsNamed(t *testing.T) {
	w := newEnv(t)
	w.registry.set(repositoryA, "v1", 1)
	named, wild := registries(repositoryA), registries("registry.example.com/team/*")
	wild.Name, wild.UID = "wild", "wild"
	for _, asked := range []*v1alpha1.ImageTrigger{named, wild} {
		storeBaselines(asked, w.sweep(asked))
	}
	w.registry.set(repositoryB, "other", 2)
	delete(w.registry.tags, repositoryA)
	w.registry.refuse[repositoryA] = &source.Refusal{Reason: source.NotFound, Err: errors.New("404")}
	checkUnknown(t, w.sweep(named), []string{"RepositoryGone 1"})
	checkUnknown(t, w.sweep(wild), nil)
}

// A catalogue leaves out what an account may not list. A repository that the ledger knows of
// proves it; it is swept, and others that nobody knows of are not known.
func TestACatalogueThatLeavesOutARepositoryIsNotKnown(t *testing.T) {
	w := newEnv(t)
	w.registry.set(repositoryA, "v1", 1)
	w.registry.set(repositoryB, "v1", 2)
	lists := &oddLists{fakeRegistry: w.registry}
	w.sweeper.Registry = lists
	asked := registries("registry.example.com/team/*")
	storeBaselines(asked, w.sweep(asked))
	lists.leaveOut = repositoryB
	w.registry.set(repositoryB, "v1", 3)
	r := w.sweep(asked)
	checkUnknown(t, r, []string{"CatalogueIncomplete 1"})
	if r.Recovered != 1 || len(r.Baselines) != 1 {
		t.Errorf("result %+v, want the push recovered and the baseline kept", r)
	}
}

// One tag that can never be read does not keep the entry's first sweep from being complete:
// else every push that a later sweep finds would count as there before.
func TestATagThatCannotBeReadDoesNotMakePushesExisting(t *testing.T) {
	w := newEnv(t)
	w.registry.set(repositoryA, "v1", 1)
	w.registry.set(repositoryA, "odd", 9)
	w.registry.refuse[repositoryA+":odd"] = &source.Refusal{Reason: source.DigestUnsupported, Err: errors.New("sha512")}
	asked := registries(repositoryA)
	storeBaselines(asked, w.sweep(asked))
	w.registry.set(repositoryA, "v2", 2)
	checkUnknown(t, w.sweep(asked), []string{"DigestUnsupported 1"})
	want := []string{repositoryA + " 01 v1@3600 existing", repositoryA + " 02 v2@3600 sweep"}
	if diff := cmp.Diff(want, w.entries()); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
}

// A push that was found and not recorded is a gap for certain, whatever else is not known.
func TestAGapOutweighsWhatIsNotKnown(t *testing.T) {
	r := Result{Gap: 2, Unread: 1, Unknown: []v1alpha1.Unknown{{Reason: ReadFailed}}}
	if got := r.Coverage(); got != v1alpha1.CoverageGap {
		t.Errorf("state %q", got)
	}
	for _, r := range []Result{{Gap: 1, Unread: 1}, {Unknown: []v1alpha1.Unknown{{Reason: ReadFailed}}}, {Reason: NotRecordable}} {
		if got := r.Coverage(); got != v1alpha1.CoverageNotKnown {
			t.Errorf("state %q of %+v", got, r)
		}
	}
}

// Property: the metrics never show a gap of 0 that nobody knows.
func TestMetricsShowNoGapThatIsNotKnown(t *testing.T) {
	w := newEnv(t, stream("team-a", "app", map[string][]item{"v1": {{1, 10}}}))
	reader := metric.NewManualReader()
	metrics, err := NewMetrics(metric.NewMeterProvider(metric.WithReader(reader)).Meter("test"))
	if err != nil {
		t.Fatal(err)
	}
	now := at(3600)
	metrics.showFor(time.Hour, func() time.Time { return now })
	w.sweeper.Metrics = metrics
	check := func(when string, want ...string) {
		t.Helper()
		var got []string
		for _, line := range observed(t, reader) {
			if strings.HasPrefix(line, "revet_coverage") {
				got = append(got, strings.NewReplacer("namespace=team-a,", "", ",trigger=all", "", "trigger=all", "").Replace(line))
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
	}
	release := make(chan struct{})
	w.funcs.List = func(ctx context.Context, c client.WithWatch, l client.ObjectList, opts ...client.ListOption) error {
		<-release
		return c.List(ctx, l, opts...)
	}
	w.sweeper.Request(trigger())
	check("before the first sweep has ended", "revet_coverage_not_known{reason=NotSwept} 1")
	close(release)
	<-w.done
	check("all is seen", "revet_coverage_gap{} 0")
	now = at(3600 + 3601)
	check("the sweep is old", "revet_coverage_not_known{reason=SweepTooOld} 1")
	now = at(3600)
	w.sweeper.access = newAccess(w.sweeper.Cluster, w.sweeper.Now)
	w.denied["team-a/"], w.denied["team-a/app"] = true, true
	w.sweep(trigger())
	check("the account sees nothing", "revet_coverage_not_known{reason=StreamsNotVisible} 1")
	again := make(chan struct{})
	w.funcs.List = func(ctx context.Context, c client.WithWatch, l client.ObjectList, opts ...client.ListOption) error {
		<-again
		return c.List(ctx, l, opts...)
	}
	w.sweeper.Request(trigger(func(t *v1alpha1.ImageTrigger) { t.Generation = 2 }))
	check("the spec is another one", "revet_coverage_not_known{reason=NotSwept} 1")
	close(again)
	<-w.done
	bad := trigger(func(t *v1alpha1.ImageTrigger) { t.Spec.Images, t.Generation = nil, 3 })
	w.sweeper.Request(bad)
	check("the selectors do not compile", "revet_coverage_not_known{reason=SelectorInvalid} 1")
}

package coverage

import (
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	fakeregistry "github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/ledger"
	"github.com/revet-dev/revet/pkg/push"
	"github.com/revet-dev/revet/pkg/source/registry"
	"github.com/revet-dev/revet/pkg/source/registry/registrytest"
)

// newOdd returns a registry that can be made odd, and its host.
func newOdd(t *testing.T) (*registrytest.Odd, string) {
	t.Helper()
	quiet := log.New(io.Discard, "", 0)
	odd := registrytest.New(fakeregistry.New(fakeregistry.Logger(quiet)), registrytest.Oddities{})
	server := httptest.NewUnstartedServer(odd)
	server.Config.ErrorLog = quiet
	server.Start()
	t.Cleanup(server.Close)
	return odd, strings.TrimPrefix(server.URL, "http://")
}

// verifyOdd verifies a trigger with the entries of a registry that speaks plain HTTP.
func verifyOdd(t *testing.T, of *v1alpha1.ImageTrigger, entries []v1alpha1.ImageVerification) Report {
	t.Helper()
	s := &fixture{gone: true, entries: entries}
	c := registry.New(func(string, string) (insecure, ok bool) { return true, true })
	reader := registry.NewReader(c, fake.NewClientBuilder().Build(), time.Now)
	reports, err := Verify(t.Context(), Sources{
		Cluster: s, Images: s, Registry: reader, Ledger: s, Runs: s,
		Now: func() time.Time { return at(3600) },
	}, []*v1alpha1.ImageTrigger{of})
	if err != nil {
		t.Fatal(err)
	}
	return reports[0]
}

// pushTo pushes an image of its own to a tag and returns the entry that records it.
func pushTo(t *testing.T, host, path, tag string) v1alpha1.ImageVerification {
	t.Helper()
	img, err := random.Image(16, 1)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(host+"/"+path+":"+tag, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, img); err != nil {
		t.Fatal(err)
	}
	hash, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	d, err := image.ParseDigest(hash.String())
	if err != nil {
		t.Fatal(err)
	}
	record := v1alpha1.PushRecord{
		Tag: tag, PushedAt: metav1.NewTime(at(10)), Sequence: 1, Source: v1alpha1.SourceSweep,
	}
	to := push.Repository{Kind: push.Registry, Name: host + "/" + path}
	return v1alpha1.ImageVerification{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "team-a", Name: ledger.EntryName("trigger", to, d), ResourceVersion: "1",
		},
		Spec: v1alpha1.ImageVerificationSpec{
			Trigger: v1alpha1.TriggerReference{Name: "all", UID: "trigger"},
			Repository: v1alpha1.RepositoryReference{
				Kind: v1alpha1.RepositoryRegistry, Name: to.Name, Pull: to.Name,
			},
			Digest: d.String(), FirstPush: record,
		},
		Status: v1alpha1.ImageVerificationStatus{Tags: []v1alpha1.TagStatus{{PushRecord: record}}},
	}
}

// Property: of a registry that answers in its own way, Verify finds the one push that is not
// recorded, or says that it does not know. It never takes the trigger for covered.
func TestVerifyOfOddRegistriesFindsTheGapOrSaysNotKnown(t *testing.T) {
	const tags = 20
	odd, host := newOdd(t)
	var entries []v1alpha1.ImageVerification
	for n := range tags {
		entries = append(entries, pushTo(t, host, "team/a", fmt.Sprintf("v%02d", n)))
	}
	of := trigger()
	of.Spec.Images = []v1alpha1.ImageSelector{
		{Repository: host + "/team/a"}, {Repository: host + "/team/*"},
	}
	of.Spec.Existing = v1alpha1.ExistingVerify
	for _, test := range []struct {
		name     string
		oddities registrytest.Oddities
		known    bool
	}{
		{"none", registrytest.Oddities{}, true},
		{"no HEAD: 405", registrytest.Oddities{Head: 405}, true},
		{"no digest, images as text", registrytest.Oddities{NoDigest: true, Type: "text/plain"}, true},
		{"a digest that it does not have", registrytest.Oddities{Digest: digest(1).String()}, true},
		{"short pages, empty ones between", registrytest.Oddities{Page: 3, EmptyPages: 2}, true},
		{"pages in circles", registrytest.Oddities{Page: 3, Link: registrytest.Circle}, false},
		{"HEAD fails: 500", registrytest.Oddities{Head: 500}, true},
		{"every answer is cut", registrytest.Oddities{Cut: 1}, false},
		{"some answers are cut", registrytest.Oddities{Head: 405, Page: 5, Cut: 7}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			odd.Set(test.oddities)
			covered, missing := v1alpha1.CoverageCovered, v1alpha1.CoverageGap
			if !test.known {
				covered, missing = v1alpha1.CoverageNotKnown, v1alpha1.CoverageNotKnown
			}
			if r := verifyOdd(t, of, entries); r.State != covered || r.Gap != 0 || test.known && r.Covered != tags {
				t.Errorf("all is recorded: %+v", r)
			}
			r := verifyOdd(t, of, entries[1:])
			if r.State != missing && (test.known || r.State != v1alpha1.CoverageGap) {
				t.Errorf("one push is not recorded: %+v", r)
			}
			if test.known && (len(r.Uncovered) != 1 || r.Uncovered[0].Tag != "v00" || r.Covered != tags-1) {
				t.Errorf("one push is not recorded: %+v", r)
			}
		})
	}
}

// What a registry shows before its first complete sweep may be older than the trigger, so it is
// not known, and no gap; afterwards it is one.
func TestWhatARegistryShowsBeforeItsFirstSweepIsNotKnown(t *testing.T) {
	_, host := newOdd(t)
	pushTo(t, host, "team/a", "v1")
	of := trigger()
	of.Spec.Images = []v1alpha1.ImageSelector{{Repository: host + "/team/a"}}
	r := verifyOdd(t, of, nil)
	if r.State != v1alpha1.CoverageNotKnown || r.Gap != 0 || r.Pushes != 0 || len(r.Unknown) != 1 ||
		r.Unknown[0].Reason != FirstSweepIncomplete {
		t.Errorf("before: %+v", r)
	}
	of.Status.Baselines = []string{host + "/team/a"}
	if r := verifyOdd(t, of, nil); r.State != v1alpha1.CoverageGap || r.Gap != 1 || len(r.Unknown) > 0 {
		t.Errorf("afterwards: %+v", r)
	}
}

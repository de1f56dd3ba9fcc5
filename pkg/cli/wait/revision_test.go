package wait

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/commandtest"
)

const (
	api     = "registry.example.com/shop/api"
	commit  = "0123456789abcdef0123456789abcdef01234567"
	digestC = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
)

// change alters an entry.
type change = func(*v1alpha1.ImageVerification)

func of(digest string) change {
	return func(e *v1alpha1.ImageVerification) { e.Spec.Digest = digest }
}

func in(repository string) change {
	return func(e *v1alpha1.ImageVerification) {
		e.Spec.Repository.Name, e.Spec.Repository.Pull = repository, repository
	}
}

// claiming has to come before what sets the status.
func claiming(revision string) change {
	return func(e *v1alpha1.ImageVerification) {
		e.Spec.Image = &v1alpha1.ImageFacts{ClaimedRevision: revision}
	}
}

func pushedAt(before time.Duration) change {
	return func(e *v1alpha1.ImageVerification) { e.Spec.FirstPush.PushedAt = *commandtest.Second(before) }
}

// claims is an entry of web, or what the changes make of it, whose image claims the commit.
func claims(name string, changes ...change) *v1alpha1.ImageVerification {
	return entry(name, "prod", append([]change{claiming(commit)}, changes...)...)
}

// A revision passed if, of each repository, the one digest that claims it passed.
func TestWaitForARevision(t *testing.T) {
	apiPassed := claims("api", in(api), of(commandtest.DigestB), passedRun)
	inStatus := func(e *v1alpha1.ImageVerification) {
		e.Status.Image, e.Spec.Image = &v1alpha1.ImageFacts{ClaimedRevision: commit}, nil
	}
	contradicted := func(e *v1alpha1.ImageVerification) {
		e.Status.Image = &v1alpha1.ImageFacts{RevisionIgnored: v1alpha1.RevisionDiffers}
	}
	for _, test := range []struct {
		name    string
		entries []client.Object
		args    []string
		status  int
		want    string
	}{
		{"both passed", []client.Object{claims("web", passedRun), apiPassed}, nil, 0, commandtest.DigestA + "\n" + commandtest.DigestB + "\n"},
		{"what was read since the entry was recorded counts", []client.Object{claims("web", passedRun, inStatus), apiPassed}, nil, 0, commandtest.DigestA},
		{"and outweighs what the entry was recorded with", []client.Object{claims("web", passedRun, contradicted), apiPassed}, nil, 2, "no image of it claims revision"},
		{"one failed", []client.Object{claims("web", failedRun), apiPassed}, nil, 1,
			"error: 1 of 2 images failed:\n  " + web + "@" + commandtest.DigestA + ": Failed: 2 rules did not hold"},
		{"one runs", []client.Object{claims("web", running), apiPassed}, nil, 2, "1 of 2 images have no verdict after 1m0s"},
		{"one is not known", []client.Object{apiPassed}, nil, 2, "  " + web + ": no image of it claims revision " + commit},
		{"one claims another revision", []client.Object{claims("web", claiming("1123"), passedRun), apiPassed}, nil, 2, "no image of it claims revision"},
		{"one claims the beginning of it", []client.Object{claims("web", claiming(commit[:12]), passedRun), apiPassed}, nil, 2, "no image of it claims revision"},
		{"one will have no verdict", []client.Object{claims("web", ended(v1alpha1.PhaseError, "Vanished", "")), apiPassed}, nil, 2, "will have no verdict"},
		{"a repository of the same path on another host", []client.Object{claims("web", in("evil.example.com/shop/web"), passedRun), apiPassed}, nil, 2, "no image of it claims revision"},
		{"another name of an ImageStream's repository", []client.Object{claims("web", passedRun, func(e *v1alpha1.ImageVerification) {
			e.Spec.Repository = v1alpha1.RepositoryReference{Kind: v1alpha1.RepositoryImageStream, Name: "demo/web", Pull: "registry:5000/demo/web", Names: []string{web}}
		}), apiPassed}, nil, 0, commandtest.DigestA},
		{"several digests", []client.Object{claims("web", passedRun), claims("web2", of(digestC), passedRun), apiPassed}, nil, 2,
			"1 of 2 images are ambiguous:\n  " + web + ": 2 digests claim revision " + commit + ": " + digestC + " (Passed), " + commandtest.DigestA + " (Passed); name the one that is meant: IMAGE@DIGEST"},
		{"several digests, of which one failed", []client.Object{claims("web", passedRun), claims("web2", of(digestC), failedRun), apiPassed}, nil, 2, "are ambiguous"},
		{"several digests, of which one was left out", []client.Object{claims("web", passedRun), claims("web2", of(digestC), skipped), apiPassed}, nil, 0, commandtest.DigestA + "\n"},
		{"several digests, of which one is not decided", []client.Object{claims("web", passedRun), claims("web2", of(digestC), running), apiPassed}, nil, 2, "have no verdict after 1m0s"},
		{"the only digest was left out", []client.Object{claims("web", skipped), apiPassed}, nil, 2, "will have no verdict"},
		{"several triggers, of which one failed it", []client.Object{claims("web", passedRun), apiPassed,
			claims("web2", failedRun, func(e *v1alpha1.ImageVerification) { e.Spec.Trigger.Name = "other" })}, nil, 1, "explain web2"},
		{"only the named trigger counts", []client.Object{claims("web", passedRun), apiPassed,
			claims("web2", of(digestC), failedRun, func(e *v1alpha1.ImageVerification) { e.Spec.Trigger.Name = "other" })}, []string{"--trigger", "prod"}, 0, commandtest.DigestA},
		{"an old verdict", []client.Object{claims("web", passedRun), apiPassed}, []string{"--max-age", "10s"}, 2, "which is longer than 10s"},
		{"a newer push passed", []client.Object{claims("web", pushedAt(time.Hour), passedRun), apiPassed, entry("newer", "prod", of(digestC), passedRun)},
			[]string{"--newest"}, 2, "error: revision " + commit + " is not the newest: in " + web + ", " + digestC + " was pushed later and passed; see: kubectl revet explain newer"},
		{"a newer push passed, which nobody asks for", []client.Object{claims("web", pushedAt(time.Hour), passedRun), apiPassed, entry("newer", "prod", of(digestC), passedRun)}, nil, 0, commandtest.DigestA},
		{"a newer push failed", []client.Object{claims("web", pushedAt(time.Hour), passedRun), apiPassed, entry("newer", "prod", of(digestC), failedRun)}, []string{"--newest"}, 0, commandtest.DigestA},
		{"a newer push of another repository passed", []client.Object{claims("web", pushedAt(time.Hour), passedRun), apiPassed, entry("newer", "prod", of(digestC), in("registry.example.com/shop/x"), passedRun)}, []string{"--newest"}, 0, commandtest.DigestA},
		{"a newer push that another trigger passed", []client.Object{claims("web", pushedAt(time.Hour), passedRun), apiPassed,
			entry("newer", "other", of(digestC), passedRun)}, []string{"--newest", "--trigger", "prod"}, 0, commandtest.DigestA},
		{"a digest that nobody pushed passed", []client.Object{claims("web", pushedAt(time.Hour), passedRun), apiPassed,
			entry("newer", "prod", of(digestC), passedRun, func(e *v1alpha1.ImageVerification) { e.Spec.FirstPush.Source = v1alpha1.SourceManual })}, []string{"--newest"}, 0, commandtest.DigestA},
		{"an older push passed", []client.Object{claims("web", passedRun), apiPassed, entry("older", "prod", of(digestC), pushedAt(time.Hour), passedRun)}, []string{"--newest"}, 0, commandtest.DigestA},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, connect := commandtest.Writable(t, interceptor.Funcs{}, test.entries...)
				args := append([]string{"wait", "--revision", commit, web, api, "--timeout", "1m", "-o", "digests"}, test.args...)
				r := commandtest.Run(New, "", connect, args...)
				if r.Status != test.status || !strings.Contains(r.ErrOut+r.Out, test.want) {
					t.Errorf("status %d, errors %q, output %q; want status %d and %q", r.Status, r.ErrOut, r.Out, test.status, test.want)
				}
				if r.Status != 0 && r.Out != "" {
					t.Errorf("standard output is %q though not every image passed", r.Out)
				}
			})
		})
	}
}

// An image that is named by its digest is the one that is meant, whatever others claim.
func TestADigestSettlesWhichIsMeant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, connect := commandtest.Writable(t, interceptor.Funcs{}, claims("web", passedRun), claims("web2", of(digestC), passedRun),
			claims("api", in(api), of(commandtest.DigestB), passedRun))
		r := commandtest.Run(New, "", connect, "wait", "--revision", commit, api, web+"@"+digestC, "-o", "digests")
		if r.Status != 0 || r.Out != commandtest.DigestB+"\n"+digestC+"\n" {
			t.Errorf("status %d, errors %q, output %q", r.Status, r.ErrOut, r.Out)
		}
	})
}

// All repositories are judged by one reading: what passed a moment ago is asked for again, as
// another digest may claim the revision while others are waited for.
func TestADigestThatComesLaterIsNotOverlooked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, connect := commandtest.Writable(t, interceptor.Funcs{}, claims("web", passedRun))
		go func() {
			time.Sleep(readEvery * 3 / 2)
			for _, e := range []*v1alpha1.ImageVerification{
				claims("web2", of(digestC), passedRun), claims("api", in(api), of(commandtest.DigestB), passedRun),
			} {
				if err := c.Create(t.Context(), e); err != nil {
					t.Error(err)
				}
			}
		}()
		r := commandtest.Run(New, "", connect, "wait", "--revision", commit, web, api, "-o", "digests")
		if r.Status != 2 || r.Out != "" || !strings.Contains(r.ErrOut, "are ambiguous") {
			t.Errorf("status %d, errors %q, output %q", r.Status, r.ErrOut, r.Out)
		}
	})
}

// An API server that does not select by revision is asked for every entry, a page at a time.
func TestWaitForARevisionWithoutSelection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hooks := interceptor.Funcs{List: func(ctx context.Context, c client.WithWatch, l client.ObjectList, opts ...client.ListOption) error {
			var o client.ListOptions
			o.ApplyOptions(opts)
			if o.FieldSelector != nil {
				return apierrors.NewBadRequest("field label not supported: spec.image.claimedRevision")
			}
			if err := c.List(ctx, l, client.InNamespace(o.Namespace)); err != nil {
				return err
			}
			all, ok := l.(*v1alpha1.ImageVerificationList)
			if !ok || o.Limit == 0 {
				t.Errorf("%T is listed with limit %d", l, o.Limit)
				return nil
			}
			if o.Continue == "" {
				all.Items, all.Continue = all.Items[:1], "more"
			} else {
				all.Items = all.Items[1:]
			}
			return nil
		}}
		_, connect := commandtest.Writable(t, hooks, claims("api", in(api), of(commandtest.DigestB), passedRun), claims("web", passedRun))
		r := commandtest.Run(New, "", connect, "wait", "--revision", commit, web, api, "--newest", "-o", "digests")
		if r.Status != 0 || r.Out != commandtest.DigestA+"\n"+commandtest.DigestB+"\n" {
			t.Errorf("status %d, errors %q, output %q", r.Status, r.ErrOut, r.Out)
		}
	})
}

// The structured output says by what an image was found, and files hold the digests for what
// comes next: none of them before every image passed.
func TestWaitHandsOnDigests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, connect := commandtest.Writable(t, interceptor.Funcs{}, claims("web", passedRun), claims("api", in(api), of(commandtest.DigestB), running))
		dir := t.TempDir()
		args := []string{"wait", "--revision", commit, web, api, "--timeout", "1s", "-o", "json", "--digest-files", dir}
		r := commandtest.Run(New, "", connect, args...)
		if files, err := os.ReadDir(dir); r.Status != 2 || len(files) > 0 || err != nil {
			t.Errorf("status %d, %d files, %v", r.Status, len(files), err)
		}
		var e v1alpha1.ImageVerification
		if err := c.Get(t.Context(), client.ObjectKey{Namespace: "demo", Name: "api"}, &e); err != nil {
			t.Fatal(err)
		}
		passedRun(&e)
		if err := c.Update(t.Context(), &e); err != nil {
			t.Fatal(err)
		}
		r = commandtest.Run(New, "", connect, args...)
		if want := `"digest": "` + commandtest.DigestA + `",
    "revision": "` + commit + `",`; r.Status != 0 || !strings.Contains(r.Out, want) {
			t.Errorf("status %d, errors %q, output:\n%s\nwant: %s", r.Status, r.ErrOut, r.Out, want)
		}
		for name, want := range map[string]string{"web": commandtest.DigestA, "api": commandtest.DigestB} {
			if got, err := os.ReadFile(filepath.Join(dir, name)); string(got) != want || err != nil {
				t.Errorf("file %s holds %q, %v; want %q", name, got, err, want)
			}
		}
	})
}

func TestWaitRefusesBadRevisions(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"--revision", "a b", web}, "is none that Revet records"},
		{[]string{"--revision", strings.Repeat("a", 129), web}, "is none that Revet records"},
		{[]string{"--revision", commit, web + ":v1"}, "has a tag"},
		{[]string{"--revision", commit, "web"}, "name it in full"},
		{[]string{"--revision", commit, commandtest.DigestA}, "has a tag"},
		{[]string{"--revision", commit}, "name at least one"},
		{[]string{"--newest", web + "@" + commandtest.DigestA}, "--newest needs --revision"},
		{[]string{web}, "is not IMAGE@DIGEST"},
		{[]string{"--digest-files", "/tmp", web + "@" + commandtest.DigestA, "other.example.com/x/web@" + commandtest.DigestB}, "would have the same file, web"},
		{[]string{"--revision", commit, "--digest-files", "/tmp", "shop/.."}, "has no last part that could name a file"},
	} {
		r := commandtest.Run(New, "", nil, append([]string{"wait"}, test.args...)...)
		if r.Status != 2 || !strings.Contains(r.ErrOut, test.want) {
			t.Errorf("%q: status %d, %q; want 2 and %q", test.args, r.Status, r.ErrOut, test.want)
		}
	}
}

package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/kube"
	"github.com/revet-dev/revet/test/images"
)

// Push is one image to push and what to call it.
type Push struct {
	// Name is what the story calls it: good, bad.
	Name string
	// Stream and Tag are where it is pushed, in the demo's namespace.
	Stream, Tag string
	Sample      images.Sample
}

// Options say where the demo runs.
type Options struct {
	Config *rest.Config
	// Registry is the registry's host:port as this process reaches it.
	Registry string
	// Namespace holds the trigger and the streams.
	Namespace string
	Out       io.Writer
	// Timeout bounds the wait for the verdicts.
	Timeout time.Duration
}

// Run pushes the images one after another, follows them all to their verdicts
// and returns the account. An error means that the account is not complete.
func Run(ctx context.Context, o Options, pushes []Push) (Account, error) {
	scheme, err := kube.NewScheme()
	if err != nil {
		return Account{}, err
	}
	c, err := client.NewWithWatch(o.Config, client.Options{Scheme: scheme})
	if err != nil {
		return Account{}, fmt.Errorf("connecting to the cluster: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()

	f := &follower{client: c, namespace: o.Namespace, out: &printer{w: o.Out}, stories: map[string]*story{}}
	if err := f.watch(ctx); err != nil {
		return Account{}, err
	}
	account := Account{Pushed: len(pushes)}
	for _, p := range pushes {
		digest, err := f.push(ctx, o.Registry, p)
		if err != nil {
			return account, err
		}
		entry, err := f.follow(ctx, digest)
		if err != nil {
			f.out.printf("  %s: %v\n", p.Name, err)
			account.Lost++
			continue
		}
		switch entry.Status.Phase {
		case v1alpha1.PhasePassed:
			account.Passed++
		case v1alpha1.PhaseFailed:
			account.Failed++
		default:
			account.Lost++
		}
	}
	return account, nil
}

// push pushes one image as any client would and begins its story.
func (f *follower) push(ctx context.Context, registry string, p Push) (string, error) {
	tag := fmt.Sprintf("%s/%s/%s:%s", registry, f.namespace, p.Stream, p.Tag)
	options := images.Options{Now: time.Now()}
	digest, err := images.Digest(p.Sample, options)
	if err != nil {
		return "", err
	}
	s := &story{name: p.Name, began: time.Now(), out: f.out, seen: map[hop]bool{}}
	f.add(digest.String(), s)
	f.out.printf("\n  %10s  %-5s %-12s %s to %s\n", "", p.Name, "pushing", p.Sample.About, tag)
	if _, err := images.Push(ctx, tag, p.Sample, options); err != nil {
		return "", err
	}
	f.tell(digest.String(), hopPush, time.Now(), "%s is in the registry", short(digest.String()))
	return digest.String(), nil
}

var errNoVerdict = errors.New("no verdict in time")

// short shows enough of a digest to recognise it.
func short(digest string) string {
	const shown = len("sha256:") + 12
	if len(digest) < shown {
		return digest
	}
	return digest[:shown]
}

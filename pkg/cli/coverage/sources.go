package coverage

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/command"
	"github.com/revet-dev/revet/pkg/config"
	"github.com/revet-dev/revet/pkg/coverage"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/lifecycle"
	"github.com/revet-dev/revet/pkg/source"
	"github.com/revet-dev/revet/pkg/source/openshift"
	"github.com/revet-dev/revet/pkg/source/registry"
	"github.com/revet-dev/revet/pkg/sweep"
	"github.com/revet-dev/revet/pkg/tekton"
)

// coverageSources read as whoever runs the command may.
type coverageSources struct {
	command.Cluster
	live     *openshift.Reader
	registry sweep.Registry
	now      func() time.Time
	// rightsDenied and imagesDenied: some question about rights was not answered,
	// some Image not shown.
	rightsDenied, imagesDenied atomic.Bool
}

func newCoverageSources(ctx context.Context, cl command.Cluster, systemNamespace string, now func() time.Time) (*coverageSources, error) {
	// Questions about rights are created, like objects, and store nothing.
	c, ok := cl.Reader.(client.Client)
	if !ok {
		return nil, errors.New("this client cannot ask about rights")
	}
	s := &coverageSources{Cluster: cl, live: openshift.NewReader(c, source.NewRights(c, 0, now)), now: now}
	var err error
	s.registry, err = configuredRegistries(ctx, c, systemNamespace, now)
	return s, err
}

func (s *coverageSources) sources() coverage.Sources {
	return coverage.Sources{Cluster: s, Images: s, Registry: s.registry, Ledger: s, Runs: s, Now: s.now}
}

// notes say what whoever runs the command may not see, and what was made of it.
func (s *coverageSources) notes() []string {
	var notes []string
	if s.rightsDenied.Load() {
		notes = append(notes, "You may not ask what the triggers' accounts may see: they are taken to see everything that is selected.")
	}
	if s.imagesDenied.Load() {
		notes = append(notes, "You may not read Images: what is not covered is looked up in its registry, and a gap where that cannot be read.")
	}
	return notes
}

// Image implements sweep.Images. What is not shown, the registry is asked.
func (s *coverageSources) Image(ctx context.Context, d image.Digest) (openshift.ImageState, error) {
	shown, err := s.live.Image(ctx, d)
	if apierrors.IsForbidden(err) {
		s.imagesDenied.Store(true)
		return openshift.ImageState{}, nil
	}
	return shown, err
}

// EachStream implements sweep.Cluster.
func (s *coverageSources) EachStream(ctx context.Context, namespace string, each func(*openshift.StreamState)) error {
	return s.live.EachStream(ctx, namespace, each)
}

// Namespaces implements sweep.Cluster.
func (s *coverageSources) Namespaces(ctx context.Context) (map[string]map[string]string, error) {
	return s.live.Namespaces(ctx)
}

// MayGet implements sweep.Cluster. Who may not ask takes the answer to be yes: that
// may show a gap that is none, and never hides one.
func (s *coverageSources) MayGet(ctx context.Context, account source.Account, namespace, name string) (bool, error) {
	allowed, err := s.live.MayGet(ctx, account, namespace, name)
	if apierrors.IsForbidden(err) {
		s.rightsDenied.Store(true)
		return true, nil
	}
	return allowed, err
}

// Entries implements coverage.Ledger.
func (s *coverageSources) Entries(ctx context.Context, namespace string) ([]v1alpha1.ImageVerification, error) {
	return s.Verifications(ctx, namespace)
}

// Entry implements coverage.Ledger.
func (s *coverageSources) Entry(ctx context.Context, namespace, name string) (*v1alpha1.ImageVerification, error) {
	var e v1alpha1.ImageVerification
	err := s.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &e)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, command.ReadError(fmt.Sprintf("reading the ImageVerification %q", name), namespace, err)
	default:
		return &e, nil
	}
}

// Runs implements coverage.Runs. A cluster without Tekton has none.
func (s *coverageSources) Runs(ctx context.Context, namespace string) ([]lifecycle.PipelineRun, error) {
	runs, err := tekton.ListRuns(ctx, s, namespace, "")
	switch {
	case meta.IsNoMatchError(err):
		return nil, nil
	case err != nil:
		return nil, command.ReadError("listing PipelineRuns", namespace, err)
	}
	return runs, nil
}

// configuredRegistries reads registries as the operator lists them.
func configuredRegistries(ctx context.Context, c client.Client, systemNamespace string, now func() time.Time) (sweep.Registry, error) {
	var listed corev1.ConfigMap
	err := c.Get(ctx, client.ObjectKey{Namespace: systemNamespace, Name: config.RegistriesConfigMap}, &listed)
	if apierrors.IsForbidden(err) || apierrors.IsNotFound(err) {
		return unreadable{fmt.Errorf("the operator's list of registries, ConfigMap %q in namespace %q: %w", config.RegistriesConfigMap, systemNamespace, err)}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the operator's list of registries: %w", err)
	}
	registries, err := config.ParseRegistries(listed.Data[config.RegistriesKey])
	if err != nil {
		return unreadable{fmt.Errorf("ConfigMap %q in namespace %q: %w", config.RegistriesConfigMap, systemNamespace, err)}, nil
	}
	return registry.NewReader(registry.New(registries.Policy), c, now).Paced(registry.SweepRate), nil
}

// unreadable is any registry where it is not known which of them may be read.
type unreadable struct{ err error }

func (u unreadable) refuse() error { return &source.Refusal{Reason: source.NotListed, Err: u.err} }

func (u unreadable) Repositories(context.Context, string, source.Account, func(image.Repository)) error {
	return u.refuse()
}

func (u unreadable) Tags(context.Context, image.Repository, source.Account, func(string)) error {
	return u.refuse()
}

func (u unreadable) Head(context.Context, image.Repository, string, source.Account) (image.Digest, error) {
	return image.Digest{}, u.refuse()
}

func (u unreadable) Content(context.Context, image.Reference, source.Account) (image.Content, error) {
	return image.Content{}, u.refuse()
}

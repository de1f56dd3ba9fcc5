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

// coverageSources read what the user may read.
type coverageSources struct {
	command.Cluster
	live     *openshift.Reader
	registry sweep.Registry
	now      func() time.Time
	// imagesDenied: the user may not read Images.
	imagesDenied atomic.Bool
}

func newCoverageSources(ctx context.Context, cl command.Cluster, systemNamespace string, now func() time.Time) (*coverageSources, error) {
	// Questions about rights are created, like objects, and store nothing.
	c, ok := cl.Reader.(client.Client)
	if !ok {
		return nil, errors.New("this client cannot ask about rights")
	}
	s := &coverageSources{Cluster: cl, live: openshift.NewReader(c, source.NewRights(c, 0, now).OrLocally()), now: now}
	var err error
	s.registry, err = configuredRegistries(ctx, c, systemNamespace, now)
	return s, err
}

func (s *coverageSources) sources() coverage.Sources {
	return coverage.Sources{Cluster: s, Images: s, Registry: s.registry, Ledger: s, Runs: s, Now: s.now}
}

// notes say what the user may not see, and what the command does instead.
func (s *coverageSources) notes() []string {
	if !s.imagesDenied.Load() {
		return nil
	}
	return []string{"You may not read Images: the command asks their registries what is not covered, and what it cannot read there counts in the gap."}
}

// Image implements sweep.Images. Without an Image, the registry is asked.
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

// MayGet implements sweep.Cluster.
func (s *coverageSources) MayGet(ctx context.Context, account source.Account, namespace, name string) (bool, error) {
	return s.live.MayGet(ctx, account, namespace, name)
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

// Runs implements coverage.Runs.
func (s *coverageSources) Runs(ctx context.Context, namespace string) ([]lifecycle.PipelineRun, error) {
	runs, err := tekton.ListRuns(ctx, s, namespace, "")
	switch {
	case meta.IsNoMatchError(err):
		return nil, coverage.ErrNoRuns
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
	certificates, err := configuredCertificates(ctx, c, systemNamespace)
	if err != nil {
		return unreadable{err}, nil //nolint:nilerr // each read of a registry answers with it
	}
	client := registry.New(registries.Policy).Trusting(certificates.For)
	return registry.NewReader(client, c, now).Paced(registry.SweepRate), nil
}

// configuredCertificates reads the certificate authorities that the operator added. Without
// the ConfigMap, or the right to read it, the system's count.
func configuredCertificates(ctx context.Context, c client.Client, systemNamespace string) (config.Certificates, error) {
	var added corev1.ConfigMap
	err := c.Get(ctx, client.ObjectKey{Namespace: systemNamespace, Name: config.CertificatesConfigMap}, &added)
	if err = client.IgnoreNotFound(err); err != nil && !apierrors.IsForbidden(err) {
		return config.Certificates{}, fmt.Errorf("reading the ConfigMap %q in namespace %q: %w", config.CertificatesConfigMap, systemNamespace, err)
	}
	certificates, err := config.ParseCertificates(added.Data)
	if err != nil {
		return config.Certificates{}, fmt.Errorf("ConfigMap %q in namespace %q: %w", config.CertificatesConfigMap, systemNamespace, err)
	}
	return certificates, nil
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

func (u unreadable) Tagged(context.Context, image.Repository, string, image.Digest, source.Account) (image.Digest, error) {
	return image.Digest{}, u.refuse()
}

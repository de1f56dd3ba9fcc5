package verify

import (
	"context"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/command"
	"github.com/revet-dev/revet/pkg/config"
	"github.com/revet-dev/revet/pkg/gate"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/selector"
)

// target is the image that somebody names.
type target struct {
	repository image.Repository
	// tag is empty only beside a digest.
	tag string
	// ref is zero if there is no digest.
	ref image.Reference
}

// dockerHub is the registry that names without a host are short for.
const dockerHub = "docker.io"

// parse reads IMAGE[:TAG][@DIGEST] as kubelets do.
func parse(s string) (target, error) {
	name, err := gate.Normalize(s)
	if err != nil {
		return target{}, command.Usagef("%w", err)
	}
	t := target{tag: name.Tag}
	if t.repository, err = image.ParseRepository(name.Repository); err != nil {
		return target{}, command.Usagef("%w", err)
	}
	if name.Digest == "" {
		return t, nil
	}
	d, err := image.ParseDigest("sha256:" + name.Digest)
	if err != nil {
		return target{}, command.Usagef("%w", err)
	}
	t.ref = t.repository.At(d)
	return t, nil
}

// checkRegistry returns an error if the operator does not list the registry for the
// namespace. Who may not read the list finds out from the entry, which waits.
func (o *options) checkRegistry(ctx context.Context, env command.Environment, cl command.Cluster, namespace string, r image.Repository) error {
	var listed corev1.ConfigMap
	err := cl.Get(ctx, client.ObjectKey{Namespace: o.systemNamespace, Name: config.RegistriesConfigMap}, &listed)
	switch {
	case apierrors.IsForbidden(err):
		fmt.Fprintf(env.Streams.ErrOut, "You may not read which registries the operator lists, so that it is not known whether Revet may read %s. "+
			"If it may not, the entry waits with the reason RegistryNotAllowed.\n", r.Host())
		return nil
	case client.IgnoreNotFound(err) != nil:
		return fmt.Errorf("reading the operator's list of registries: %w", err)
	}
	registries, err := config.ParseRegistries(listed.Data[config.RegistriesKey])
	if err != nil {
		return fmt.Errorf("ConfigMap %q in namespace %q: %w", config.RegistriesConfigMap, o.systemNamespace, err)
	}
	if _, ok := registries.Policy(r.Host(), namespace); ok {
		return nil
	}
	return errors.New(notListed(r, namespace, o.systemNamespace, registries.Hosts(namespace)))
}

func notListed(r image.Repository, namespace, system string, hosts []string) string {
	hub := ""
	if r.Host() == dockerHub {
		hub = ", and auth.docker.io, which gives the tokens for it"
	}
	cure := fmt.Sprintf("the operator does not list the registry %s for namespace %q, so that Revet may not read it; let the operator add it to the ConfigMap %s in namespace %s%s",
		r.Host(), namespace, config.RegistriesConfigMap, system, hub)
	if len(hosts) == 0 {
		return cure
	}
	return cure + fmt.Sprintf("; or name the same digest where one of these has it, as a gate goes by the digest alone: %s", strings.Join(hosts, ", "))
}

// selects reports whether the trigger selects a repository. A selector that does not
// compile selects nothing.
func selects(trigger *v1alpha1.ImageTrigger, r image.Repository) bool {
	s, err := selector.Compile(trigger)
	return err == nil && s.MatchesRepository(r)
}

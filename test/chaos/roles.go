//go:build linux

package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/revet-dev/revet/test/cluster/fast"
	"github.com/revet-dev/revet/test/cluster/registry"
	"github.com/revet-dev/revet/test/rig"
)

// The harness starts its own program again, in a role, for what it kills and has no program: the variable says which.
const roleVariable = "REVET_CHAOS_ROLE"

// role is what a process of the harness is.
type role struct {
	// Name is cluster, registry or tenant.
	Name string
	// Dir keeps its data, from one start to the next.
	Dir string
	// Address is that of the API server, or of the registry.
	Address string
	// Bridge is where the registry tells the cluster of pushes.
	Bridge string
	// Registry is the registry's address.
	Registry string
	CRDDirs  []string
	// Odd is where Revet sees the registry if it is odd, and Hooks where that one's notifications go.
	Odd, Hooks string
	Seed       uint64
	// Gated is true for a cluster without a registry, whose API server pins tags.
	Gated bool
	// Kubeconfig is the tenant's, and Receivers are where it reaches these.
	Kubeconfig string
	Receivers  []string
}

func (r role) environment() (string, error) { return rig.RoleEnvironment(roleVariable, r) }

// Role does what the process was started for, until SIGTERM. It says no if that is no role of the harness.
func Role() (code int, isRole bool) {
	return rig.ServeRole(roleVariable, func(ctx context.Context, r role) error {
		if err := r.run(ctx); err != nil {
			return fmt.Errorf("the %s: %w", r.Name, err)
		}
		return nil
	})
}

func (r role) run(ctx context.Context) error {
	switch r.Name {
	case "cluster":
		return r.cluster(ctx)
	case "registry":
		return r.registry(ctx)
	case "tenant":
		return r.beHostile(ctx)
	default:
		return fmt.Errorf("no role is called %q", r.Name)
	}
}

// cluster is etcd, API server, image API and the bridge to the registry, in one process.
func (r role) cluster(ctx context.Context) error {
	crds, err := rig.CRDs(r.CRDDirs...)
	if err != nil {
		return err
	}
	c, err := fast.Start(ctx, fast.Options{Dir: r.Dir, Addr: r.Address, OpenShift: true, CRDs: crds, MutatingPolicies: r.Gated})
	if err != nil {
		return err
	}
	if r.Gated {
		<-ctx.Done()
		return c.Stop() //nolint:contextcheck // what stops has to outlive ctx, whose end is why it stops
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", r.Bridge)
	if err != nil {
		return errors.Join(fmt.Errorf("listening for the registry: %w", err), c.Stop()) //nolint:contextcheck // what stops has to outlive ctx, whose end is why it stops
	}
	server := &http.Server{Handler: c.OpenShift(), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }() // ends with the process
	// The registry may be down as well. Pushes wait.
	probe := &http.Client{Timeout: 2 * time.Second}
	for err = errors.New("not yet"); err != nil && ctx.Err() == nil; {
		if err = rig.Answers(ctx, probe, "http://"+r.Registry+"/v2/"); err != nil {
			<-time.After(200 * time.Millisecond)
		}
	}
	if err == nil {
		err = c.OpenShift().Bridge(ctx, "http://"+r.Registry)
	}
	if err == nil {
		<-ctx.Done()
	}
	if ctx.Err() != nil {
		err = nil // it was asked to end
	}
	return errors.Join(err, server.Close(), c.Stop()) //nolint:contextcheck // what stops has to outlive ctx, whose end is why it stops
}

// registry is a CNCF Distribution registry. A push is not acknowledged before its objects are written, as on OpenShift.
func (r role) registry(ctx context.Context) error {
	o := registry.Options{Dir: r.Dir, Addr: r.Address, OnPush: r.tell}
	if r.Odd != "" {
		o.Endpoints = []registry.Endpoint{r.hook()}
	}
	reg, err := registry.Start(ctx, o)
	if err != nil {
		return err
	}
	if r.Odd != "" {
		if err := r.serveOdd(ctx); err != nil {
			return errors.Join(err, reg.Stop()) //nolint:contextcheck // what stops has to outlive ctx, whose end is why it stops
		}
	}
	<-ctx.Done()
	return reg.Stop() //nolint:contextcheck // what stops has to outlive ctx, whose end is why it stops
}

// tellTimeout is longer than the bridge's own, after which it answers that the objects could not be written.
const tellTimeout = 12 * time.Second

// tell sends the cluster what Distribution's notifications say.
func (r role) tell(ctx context.Context, p registry.Push) error {
	type target struct {
		MediaType  string `json:"mediaType"`
		Digest     string `json:"digest"`
		Repository string `json:"repository"`
		Tag        string `json:"tag"`
	}
	type event struct {
		Timestamp time.Time `json:"timestamp"`
		Action    string    `json:"action"`
		Target    target    `json:"target"`
	}
	body, err := json.Marshal(map[string][]event{"events": {{time.Now(), "push", target{manifestType, p.Digest.String(), p.Repository, p.Tag}}}})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, tellTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+r.Bridge, bytes.NewReader(body))
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		answer, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10))
		return fmt.Errorf("the bridge answered %s: %s", response.Status, answer)
	}
	return nil
}

package openshift

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/revet-dev/revet/test/cluster/openshift/imageapi"
)

// Emulation is a running image API with its bridge.
type Emulation struct {
	options Options
	server  *imageapi.Server
	objects *objects
	queues  *queues
	synced  syncTimes
	pushed  pushedHeads

	// source is written before open is closed and read only after.
	source *source
	open   chan struct{}
	bridge sync.Once
	cancel context.CancelFunc
	watch  sync.WaitGroup
}

// Start serves the image API and registers it with the API server; pushes wait until [Emulation.Bridge] is called. The
// context bounds the start only.
func Start(ctx context.Context, o Options) (*Emulation, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	config, err := clientcmd.BuildConfigFromFlags("", o.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig %q: %w", o.Kubeconfig, err)
	}
	server, err := imageapi.Start(ctx, imageapi.Options{
		Etcd: o.Etcd, Kubeconfig: o.Kubeconfig, Host: o.Host, Addr: o.Addr, Now: o.Now,
		Hosts: imageapi.Hosts{InCluster: o.InCluster, Public: o.Public},
	})
	if err != nil {
		return nil, err
	}
	e, err := newEmulation(context.WithoutCancel(ctx), o, config)
	if err != nil {
		return nil, errors.Join(err, server.Stop())
	}
	e.server = server
	return e, nil
}

func newEmulation(ctx context.Context, o Options, config *rest.Config) (*Emulation, error) {
	objects, err := newObjects(config)
	if err != nil {
		return nil, err
	}
	run, cancel := context.WithCancel(ctx)
	open := make(chan struct{})
	return &Emulation{options: o, objects: objects, queues: newQueues(run, open, o.Log), open: open, cancel: cancel}, nil
}

// Bridge connects the registry: it makes up for pushes that the streams do not show, and returns when that is done and
// further pushes are taken. It can be called once.
func (e *Emulation) Bridge(ctx context.Context, registryURL string) error {
	err := errors.New("openshift: Bridge was called before")
	e.bridge.Do(func() { err = e.connect(ctx, registryURL) })
	return err
}

func (e *Emulation) connect(ctx context.Context, registryURL string) error {
	source, err := newSource(registryURL)
	if err != nil {
		return err
	}
	e.source = source
	repositories, err := source.repositories(ctx)
	if err != nil {
		return err
	}
	var tasks []*task
	for _, repository := range repositories {
		key, ok, err := keyOf(repository)
		if !ok || err != nil {
			continue // its pushes are ignored or refused as well
		}
		t := newTask("compare with the registry", func(ctx context.Context) error { return e.catchUp(ctx, key) })
		e.queues.add(key, t)
		tasks = append(tasks, t)
	}
	if err := e.startWatch(ctx); err != nil {
		return err
	}
	close(e.open)
	for _, t := range tasks {
		if err := t.wait(ctx); err != nil && !hopeless(err) {
			return fmt.Errorf("comparing the registry with the image streams: %w", err)
		}
	}
	return nil
}

// WaitServed returns when the API can be used, for example after the API server was restarted.
func (e *Emulation) WaitServed(ctx context.Context) error { return e.server.WaitServed(ctx) }

// Stop ends bridge and API. Stop the registry first, so that no push is refused.
func (e *Emulation) Stop() error {
	e.cancel()
	e.queues.workers.Wait()
	e.watch.Wait()
	return e.server.Stop()
}

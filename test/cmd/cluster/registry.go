package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/revet-dev/revet/test/cluster/node"
	"github.com/revet-dev/revet/test/cluster/openshift"
	"github.com/revet-dev/revet/test/cluster/registry"
)

func registryCommand() *cobra.Command {
	var (
		images  registry.Options
		objects = openshift.Options{Log: slog.Default(), InCluster: node.RegistryInCluster}
		notify  []string
	)
	cmd := &cobra.Command{
		Use:    "registry",
		Short:  "Serve the cluster's image registry and OpenShift's image API",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := endpoints(notify)
			if err != nil {
				return err
			}
			if images.Endpoints, err = receivers(all); err != nil {
				return err
			}
			return serveImages(cmd.Context(), images, objects)
		},
	}
	cmd.Flags().StringVar(&images.Dir, "dir", "", "directory of the content")
	cmd.Flags().StringVar(&images.Addr, "addr", "", "host:port to listen on")
	cmd.Flags().StringVar(&objects.Kubeconfig, "kubeconfig", "", "kubeconfig of the API server that gets the image API")
	cmd.Flags().StringVar(&objects.Etcd, "etcd", "", "URL of the etcd that holds the image API's objects")
	cmd.Flags().StringVar(&objects.Public, "public", "", "host:port of the registry outside of the cluster")
	cmd.Flags().StringArrayVar(&notify, "notify", nil, notifyHelp)
	return cmd
}

// receivers reads the tokens of who hears of pushes.
func receivers(all []node.Endpoint) ([]registry.Endpoint, error) {
	var result []registry.Endpoint
	for _, e := range all {
		headers := http.Header{}
		if e.TokenFile != "" {
			token, err := os.ReadFile(e.TokenFile)
			if err != nil {
				return nil, fmt.Errorf("read the token of endpoint %q: %w", e.Name, err)
			}
			headers.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
		}
		result = append(result, registry.Endpoint{Name: e.Name, URL: e.URL, Headers: headers})
	}
	return result, nil
}

// serveImages serves the image API and the registry until the context ends.
func serveImages(ctx context.Context, images registry.Options, objects openshift.Options) error {
	if err := awaitAPIServer(ctx, objects.Kubeconfig); err != nil {
		return err
	}
	api, err := openshift.Start(ctx, objects)
	if err != nil {
		return err
	}
	images.OnPush, images.Front, images.Log = api.Pushed, api.Front, os.Stderr
	server, err := registry.Start(ctx, images)
	if err != nil {
		return errors.Join(err, api.Stop())
	}
	err = api.Bridge(ctx, server.URL())
	if err == nil {
		slog.Info("registry ready", "address", server.Addr())
		<-ctx.Done()
	}
	// The registry first, so that it refuses no push for the lack of the API.
	return errors.Join(err, server.Stop(), api.Stop()) //nolint:contextcheck // what stops has to outlive ctx, whose end is why it stops
}

// awaitAPIServer waits as long as it takes: what runs this process gives up
// in its place.
func awaitAPIServer(ctx context.Context, kubeconfig string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return fmt.Errorf("read kubeconfig: %w", err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error() != nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

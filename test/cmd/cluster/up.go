package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/revet-dev/revet/test/cluster/node"
)

func upCommand() *cobra.Command {
	var (
		notify       []string
		keepPackages bool
		fresh        bool
		registryPort int
		apiPort      int
	)
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start the cluster of this checkout and leave it running",
		Long: "Start the cluster of this checkout and leave it running. Binaries are built once into the cache.\n" +
			"Where the cluster runs already, say what it is.",
		Example: "  cluster up\n  cluster up --registry-port 5005",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := options(cmd)
			if err != nil {
				return err
			}
			o.KeepPackages, o.FreshRegistry, o.RegistryPort, o.APIPort = keepPackages, fresh, registryPort, apiPort
			if o.Notify, err = endpoints(notify); err != nil {
				return err
			}
			info, err := node.Up(cmd.Context(), o)
			if err != nil {
				return err
			}
			describe(cmd.OutOrStdout(), info)
			return nil
		},
	}
	cmd.Flags().StringArrayVar(&notify, "notify", nil, notifyHelp)
	cmd.Flags().BoolVar(&keepPackages, "keep-packages", false, "do not install Debian packages: say which are missing")
	cmd.Flags().BoolVar(&fresh, "fresh-registry", false, "start with an empty registry whose content goes with the cluster")
	cmd.Flags().IntVar(&registryPort, "registry-port", 0, "preferred port of the registry on this machine (default 5001)")
	cmd.Flags().IntVar(&apiPort, "api-port", 0, "preferred port of the API server on this machine (default 6443)")
	return cmd
}

// describe prints what a person needs to use the cluster.
func describe(out io.Writer, info *node.Info) {
	image := info.RegistryHost + "/my-namespace/my-image:latest"
	fmt.Fprintf(out, `
The local cluster of %s runs: Kubernetes %s, RuntimeClass %s.

  kubeconfig  %s
  API server  %s
  registry    %s from this machine
              %s from Pods
  logs        %s

Next:

  export KUBECONFIG=%s
  alias kubectl=%s
  kubectl get nodes,runtimeclasses
  crane push image.tar %s     (or any other client; plain HTTP)
  make down

`, info.Checkout, info.Versions["kubernetes"], node.KataNote, info.Kubeconfig, info.APIServer,
		info.RegistryHost, info.RegistryInCluster, info.Logs, info.Kubeconfig, info.Kubectl, image)
}

const notifyHelp = "who hears of pushes from the registry itself: NAME=URL or NAME=URL,TOKENFILE, once for each"

// endpoints decodes the values of --notify.
func endpoints(values []string) ([]node.Endpoint, error) {
	var all []node.Endpoint
	for _, value := range values {
		name, rest, ok := strings.Cut(value, "=")
		if !ok || name == "" || rest == "" {
			return nil, fmt.Errorf("--notify %q: want NAME=URL or NAME=URL,TOKENFILE", value)
		}
		url, token, _ := strings.Cut(rest, ",")
		all = append(all, node.Endpoint{Name: name, URL: url, TokenFile: token})
	}
	return all, nil
}

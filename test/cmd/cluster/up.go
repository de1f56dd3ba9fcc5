package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
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
		bare         bool
	)
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start the cluster of this checkout and leave it running",
		Long: "Start the cluster of this checkout, install Knative, Tekton and Revet, and leave it running. Binaries and\n" +
			"images are built once into the cache. Where the cluster runs already, bring it up to date and say what it is.",
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
			if !bare {
				if err := playground(cmd.Context(), o, info); err != nil {
					return err
				}
			}
			describe(cmd.OutOrStdout(), info)
			return nil
		},
	}
	cmd.Flags().BoolVar(&bare, "bare", false, "Kubernetes and the registry only: no Knative, no Tekton, no Revet")
	cmd.Flags().StringArrayVar(&notify, "notify", nil, notifyHelp)
	cmd.Flags().BoolVar(&keepPackages, "keep-packages", false, "do not install Debian packages: say which are missing")
	cmd.Flags().BoolVar(&fresh, "fresh-registry", false, "start with an empty registry whose content goes with the cluster")
	cmd.Flags().IntVar(&registryPort, "registry-port", 0, "preferred port of the registry on this machine (default 5001)")
	cmd.Flags().IntVar(&apiPort, "api-port", 0, "preferred port of the API server on this machine (default 6443)")
	return cmd
}

// describe prints what a person needs to use the cluster.
func describe(out io.Writer, info *node.Info) {
	fmt.Fprintf(out, `
The local cluster of %s runs: Kubernetes %s, RuntimeClass %s.

  kubeconfig  %s
  API server  %s
  registry    %s from this machine (plain HTTP)
              %s from Pods
  logs        %s

Next:

  export KUBECONFIG=%s
  export PATH=%s:%s:$PATH
`, info.Checkout, info.Versions["kubernetes"], node.KataNote, info.Kubeconfig, info.APIServer,
		info.RegistryHost, info.RegistryInCluster, info.Logs, info.Kubeconfig, filepath.Dir(info.Kubectl), info.Dir)
	// The plug-in is built last of what is put on a cluster that is not bare.
	if _, err := os.Stat(filepath.Join(info.Dir, "kubectl-revet")); err != nil {
		fmt.Fprintf(out, "  kubectl get nodes,runtimeclasses\n  make down\n\n")
		return
	}
	fmt.Fprintf(out, `  skopeo copy --dest-tls-verify=false docker-archive:image.tar docker://%[1]s/%[2]s/app:1.0     (or crane, podman, ko)
  kubectl revet get -n %[2]s
  kubectl revet explain -n %[2]s app:1.0
  make down

`, info.RegistryHost, demoNamespace)
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

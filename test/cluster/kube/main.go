package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

func main() {
	os.Exit(run(os.Args))
}

func run(args []string) int {
	program, args := choose(args)
	os.Args = args
	switch program {
	case "etcd":
		etcdmain.Main(args)
		return 0
	case "coredns":
		return serveDNS(args[1:])
	}
	newCommand, ok := commands()[program]
	if !ok {
		fmt.Fprintf(os.Stderr, "unknown program %q; known are etcd, coredns, kube-apiserver, kube-controller-manager, kube-scheduler, kube-proxy, kubelet and kubectl\n", program)
		return 2
	}
	return cli.Run(newCommand())
}

// choose returns the program asked for and its command line.
func choose(args []string) (string, []string) {
	name := filepath.Base(args[0])
	if name == "kubectl" { // called through the symbolic link that people use
		return name, args
	}
	if len(args) < 2 {
		return "", args
	}
	return args[1], args[1:]
}

func commands() map[string]func() *cobra.Command {
	return map[string]func() *cobra.Command{
		"kube-apiserver":          apiserver.NewAPIServerCommand,
		"kube-controller-manager": controllermanager.NewControllerManagerCommand,
		"kube-scheduler":          func() *cobra.Command { return scheduler.NewSchedulerCommand() },
		"kube-proxy":              proxy.NewProxyCommand,
		"kubelet":                 newKubelet,
		"kubectl":                 kubectl.NewDefaultKubectlCommand,
	}
}

// newKubelet makes the kubelet's command. It handles signals itself.
func newKubelet() *cobra.Command {
	return kubelet.NewKubeletCommand(context.Background())
}

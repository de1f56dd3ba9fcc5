package main

import (
	"fmt"
	"os"

	"github.com/coredns/caddy"
	// CoreDNS knows its server type and its plug-ins by import only. This list
	// is what the Corefile of package node may use.
	_ "github.com/coredns/coredns/core/dnsserver"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/template"
)

// serveDNS runs CoreDNS until it is told to stop. It does not go through
// CoreDNS's own main, whose package defines process-wide flags such as -version
// that the other programs of this binary define too.
func serveDNS(args []string) int {
	if len(args) != 1 {
		fmt.Fprintln(os.Stderr, "coredns takes one argument, the path of its Corefile")
		return 2
	}
	corefile, err := os.ReadFile(args[0])
	if err != nil {
		fmt.Fprintf(os.Stderr, "read Corefile: %v\n", err)
		return 1
	}
	caddy.AppName, caddy.Quiet = "CoreDNS", true
	caddy.TrapSignals()
	instance, err := caddy.Start(caddy.CaddyfileInput{
		Contents:       corefile,
		Filepath:       args[0],
		ServerTypeName: "dns",
	})
	if err != nil {
		fmt.Fprintf(os.Stderr, "start CoreDNS with %q: %v\n", args[0], err)
		return 1
	}
	instance.Wait()
	return 0
}

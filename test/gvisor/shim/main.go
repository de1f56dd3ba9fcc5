package main

import (
	"context"

	"github.com/containerd/containerd/v2/pkg/shim"
	runsc "gvisor.dev/gvisor/pkg/shim/v1"
	"gvisor.dev/gvisor/pkg/shim/v1/extension"
	// The plug-in serves containerd's task API from this process.
	_ "gvisor.dev/gvisor/pkg/shim/v1/plugin"
)

func main() {
	extension.NewExtension, extension.NewPodExtension = beforeCreate, beforeCreate
	stock := runsc.NewShimManager("io.containerd.runsc.v1")
	shim.Run(context.Background(), manager{Manager: stock})
}

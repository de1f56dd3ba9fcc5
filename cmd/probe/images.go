package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func newRemoveImages() *cobra.Command {
	var endpoint string
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "remove-images IMAGE...",
		Short: "Remove images from the node",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, images []string) error {
			ctx, cancel := context.WithTimeout(c.Context(), timeout)
			defer cancel()
			// The socket is a file of the node.
			conn, err := grpc.NewClient("unix://"+endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()))
			if err != nil {
				return fmt.Errorf("connecting to the container runtime at %s: %w", endpoint, err)
			}
			defer conn.Close()
			runtime := cri.NewImageServiceClient(conn)
			for _, name := range images {
				// The runtime reports no error for an image that it does not have.
				if _, err := runtime.RemoveImage(ctx, &cri.RemoveImageRequest{Image: &cri.ImageSpec{Image: name}}); err != nil {
					return fmt.Errorf("removing image %s at %s: %w", name, endpoint, err)
				}
				fmt.Fprintln(c.OutOrStdout(), "removed", name)
			}
			return nil
		},
	}
	c.Flags().StringVar(&endpoint, "endpoint", "/run/containerd/containerd.sock", "socket of the node's container runtime")
	c.Flags().DurationVar(&timeout, "timeout", time.Minute, "most time for everything")
	return c
}

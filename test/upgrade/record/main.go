//go:build linux

// Command record writes what a version of Revet stores in etcd, for the tests of package upgrade.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"github.com/revet-dev/revet/test/upgrade"
)

func main() { os.Exit(run()) }

func run() int {
	root := flag.String("root", "", "`folder` with the sources of the version to record")
	out := flag.String("out", "", "`file` to write, *.jsonl.gz")
	flag.Parse()
	if *root == "" || *out == "" {
		fmt.Fprintln(os.Stderr, "record: -root and -out are both needed")
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := record(ctx, *root, *out); err != nil {
		fmt.Fprintln(os.Stderr, "record:", err)
		return 1
	}
	return 0
}

func record(ctx context.Context, root, out string) error {
	dir, err := os.MkdirTemp("", "revet-record-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	content, err := upgrade.Record(ctx, root, dir)
	if err != nil {
		return err
	}
	return upgrade.WriteFile(out, content)
}

// Command attestor signs the verdicts of triggers that ask for it, and attaches them to images
// in their registries. It is a process of its own, since nothing else may read the keys. See
// package controller/attestation.
package main

import (
	"os"

	"github.com/revet-dev/revet/pkg/app"
)

func main() { os.Exit(app.RunAttestor(os.Args[1:])) }

// Command controller takes recorded pushes to their verdicts: it requests a run from the
// trigger's sink, follows the run and records its outcome. See package
// controller/imageverification.
package main

import (
	"os"

	"github.com/revet-dev/revet/pkg/app"
)

func main() { os.Exit(app.RunController(os.Args[1:])) }

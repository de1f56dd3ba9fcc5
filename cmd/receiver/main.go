// Command receiver takes the events and notifications that announce a pushed image, reads
// what was pushed, and records it. See package intake.
package main

import (
	"os"

	"github.com/revet-dev/revet/pkg/app"
)

func main() { os.Exit(app.RunReceiver(os.Args[1:])) }

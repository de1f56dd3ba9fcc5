// Command samples writes the images that have known vulnerabilities as OCI layouts,
// each into a folder of its name below the one that it is given.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/revet-dev/revet/test/images"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: samples FOLDER")
		os.Exit(2)
	}
	for _, s := range images.Vulnerable() {
		dir := filepath.Join(os.Args[1], s.Name)
		digest, err := images.Save(dir, s, images.Options{Now: time.Now()})
		if err != nil {
			fmt.Fprintf(os.Stderr, "samples: %s: %v\n", s.Name, err)
			os.Exit(1)
		}
		fmt.Println(digest, dir)
	}
}

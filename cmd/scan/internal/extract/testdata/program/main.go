// Command program is what a test takes stock of.
package main

import "github.com/spf13/cobra"

func main() { _ = (&cobra.Command{Use: "program"}).Execute() }

package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "apidoc: name the folder of the types: apidoc pkg/apis/revet/v1alpha1 > docs/api.md")
		os.Exit(2)
	}
	text, err := reference(os.Args[1], roots...)
	if err != nil {
		fmt.Fprintln(os.Stderr, "apidoc:", err)
		os.Exit(1)
	}
	fmt.Print(text)
}

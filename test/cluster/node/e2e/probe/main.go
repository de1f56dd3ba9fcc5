// Command probe runs inside Pods of the node tier's test and prints what it
// sees of its surroundings.
//
// Contract: "version" prints the kernel's version, "lookup NAME" the addresses
// of a name, "get URL" the body of a page, and "serve ADDRESS" answers every
// request with the kernel's version. A failure ends with status 1.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

const timeout = 20 * time.Second

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "probe: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	switch {
	case len(args) == 1 && args[0] == "version":
		version, err := kernel()
		if err != nil {
			return err
		}
		_, err = io.WriteString(out, version)
		return err
	case len(args) == 2 && args[0] == "lookup":
		addresses, err := net.DefaultResolver.LookupHost(ctx, args[1])
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(out, addresses)
		return err
	case len(args) == 2 && args[0] == "get":
		return get(ctx, args[1], out)
	case len(args) == 2 && args[0] == "serve":
		return http.ListenAndServe(args[1], http.HandlerFunc(answer))
	default:
		return errors.New("want version, lookup NAME, get URL or serve ADDRESS")
	}
}

func kernel() (string, error) {
	data, err := os.ReadFile("/proc/version")
	return string(data), err
}

func answer(w http.ResponseWriter, _ *http.Request) {
	version, err := kernel()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_, _ = io.WriteString(w, version)
}

func get(ctx context.Context, url string, out io.Writer) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %q: %s", url, response.Status)
	}
	_, err = io.Copy(out, response.Body)
	return err
}

package upstream

import (
	"strings"
	"testing"

	"k8s.io/client-go/rest"
)

func TestInstallRefusesIncompleteOptions(t *testing.T) {
	for _, row := range []struct {
		name    string
		options Options
		wantErr string
	}{
		{"no cache", Options{RESTConfig: &rest.Config{}, Registry: "localhost:5001"}, "CacheDir is empty"},
		{"no cluster", Options{CacheDir: "x", Registry: "localhost:5001"}, "RESTConfig is nil"},
		{"no registry", Options{CacheDir: "x", RESTConfig: &rest.Config{}}, `Registry "" is not host:port`},
		{"a registry with a scheme", Options{CacheDir: "x", RESTConfig: &rest.Config{}, Registry: "http://localhost:5001"}, "is not host:port"},
		{"an unknown profile", Options{CacheDir: "x", RESTConfig: &rest.Config{}, Registry: "localhost:5001", Profile: "tiny"}, `profile "tiny" is unknown`},
	} {
		t.Run(row.name, func(t *testing.T) {
			if err := Install(t.Context(), row.options); err == nil || !strings.Contains(err.Error(), row.wantErr) {
				t.Errorf("error is %v, want one that says %q", err, row.wantErr)
			}
		})
	}
}

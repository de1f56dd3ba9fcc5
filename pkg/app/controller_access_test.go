package app

import (
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"k8s.io/client-go/rest"
)

// Property: what has connections of its own never waits behind other requests.
func TestOwnConnectionsAreSharedWithNobody(t *testing.T) {
	var connections atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.EnableHTTP2 = true
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	server.StartTLS()
	defer server.Close()
	config := &rest.Config{Host: server.URL, TLSClientConfig: rest.TLSClientConfig{
		CAData: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}),
	}}
	ask := func(c *rest.Config) {
		t.Helper()
		client, err := rest.HTTPClientFor(c)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Get(server.URL) //nolint:noctx // of a server of this test
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	}
	for _, step := range []struct {
		name   string
		config *rest.Config
		want   int32
	}{
		{"the first client", config, 1},
		{"another one of the same configuration", rest.CopyConfig(config), 1},
		{"one with connections of its own", ownConnections(config), 2},
		{"and another one", ownConnections(config), 3},
	} {
		if ask(step.config); connections.Load() != step.want {
			t.Errorf("%s: %d connections, want %d", step.name, connections.Load(), step.want)
		}
	}
}

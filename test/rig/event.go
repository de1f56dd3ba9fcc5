package rig

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	imagev1 "github.com/openshift/api/image/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// elsewhere is a loopback address that nobody else comes from.
const elsewhere = "127.0.0.2"

const elsewhereTimeout = 5 * time.Second

// DialElsewhere connects to a loopback address from another one than everybody else, as what
// runs in another Pod does.
func DialElsewhere(ctx context.Context, address string) (net.Conn, error) {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(elsewhere)}, Timeout: elsewhereTimeout}
	return dialer.DialContext(ctx, "tcp", address)
}

// Elsewhere is a client whose connections come from there. A request may take so long.
func Elsewhere(timeout time.Duration) *http.Client {
	return &http.Client{Timeout: timeout, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) { return DialElsewhere(ctx, address) },
	}}
}

// Tell sends an ImageStream to a receiver as the adapter does. It gives no error for a push that
// is recorded, or is nothing new.
func Tell(ctx context.Context, c *http.Client, address string, stream *imagev1.ImageStream) error {
	event := stream.DeepCopy()
	event.TypeMeta = metav1.TypeMeta{APIVersion: "image.openshift.io/v1", Kind: "ImageStream"}
	body, err := json.Marshal(event)
	if err != nil {
		return fmt.Errorf("encoding an ImageStream: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address, bytes.NewReader(body))
	if err != nil {
		return err
	}
	for name, value := range map[string]string{
		"Content-Type": "application/json", "Ce-Specversion": "1.0", "Ce-Id": event.ResourceVersion, "Ce-Source": "elsewhere",
		"Ce-Type": "dev.knative.apiserver.resource.update", "Ce-Kind": "ImageStream", "Ce-Apiversion": "image.openshift.io/v1",
		"Ce-Name": event.Name, "Ce-Namespace": event.Namespace,
	} {
		request.Header.Set(name, value)
	}
	response, err := c.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusAccepted {
		return fmt.Errorf("the receiver answered %s", response.Status)
	}
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

// Announcement is a request that announces the length of its body, and has a byte of it.
func Announcement(length int) string {
	return fmt.Sprintf("POST / HTTP/1.1\r\nHost: receiver\r\nContent-Type: application/json\r\nCe-Specversion: 1.0\r\nCe-Id: 1\r\n"+
		"Ce-Source: elsewhere\r\nCe-Type: elsewhere\r\nContent-Length: %d\r\n\r\n{", length)
}

// Hold connects to an address from elsewhere, sends a beginning, and returns once the other side
// or the context ends the connection.
func Hold(ctx context.Context, address, beginning string) error {
	connection, err := DialElsewhere(ctx, address)
	if err != nil {
		return err
	}
	defer func() { _ = connection.Close() }()
	defer context.AfterFunc(ctx, func() { _ = connection.Close() })()
	if _, err := io.WriteString(connection, beginning); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, connection)
	return err
}

//go:build linux

package tenants

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	imagev1 "github.com/openshift/api/image/v1"
	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/test/rig"
)

// runList is the kind of lists of PipelineRuns.
var runList = pipelinev1.SchemeGroupVersion.WithKind("PipelineRunList")

const (
	writesAtOnce = 16
	// elsewhere is the address that the hostile namespace's connections come from.
	elsewhere = "127.0.0.2"
)

// note tells what an attack came to.
func (b *bed) note(format string, args ...any) {
	_, _ = fmt.Fprintf(b.options.Out, "  "+format+"\n", args...)
}

func inParallel(ctx context.Context, number int, do func(context.Context, int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(writesAtOnce)
	for n := range number {
		group.Go(func() error { return do(ctx, n) })
	}
	return group.Wait()
}

// goOn does something again and again until the bed is stopped. Its errors are the attack's own.
func (b *bed) goOn(ctx context.Context, do func(context.Context) error) {
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	all.Go(func() {
		for ctx.Err() == nil {
			if err := do(ctx); err != nil && ctx.Err() == nil {
				<-time.After(poll)
			}
		}
	})
	b.later(func() { cancel(); all.Wait() })
}

// dial connects to the receiver from elsewhere.
func (b *bed) dial(ctx context.Context) (net.Conn, error) {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(elsewhere)}, Timeout: 5 * time.Second}
	return dialer.DialContext(ctx, "tcp", b.receiverAddress)
}

func (b *bed) newStream(ctx context.Context, name string) (*imagev1.ImageStream, error) {
	stream := &imagev1.ImageStream{ObjectMeta: metav1.ObjectMeta{Namespace: hostileNamespace, Name: name}}
	return stream, b.create(ctx, stream)
}

func tagged(tag string, item imagev1.TagEvent) imagev1.NamedTagEventList {
	return imagev1.NamedTagEventList{Tag: tag, Items: []imagev1.TagEvent{item}}
}

// pushMany shows so many new digests in a hostile stream, each under a tag of its own, and tells
// the receiver until it has recorded them.
func (b *bed) pushMany(ctx context.Context, name string, number int) error {
	stream, err := b.newStream(ctx, name)
	if err != nil {
		return err
	}
	for n := range number {
		if _, err := b.show(ctx, stream, n, fmt.Sprintf("v%d", n)); err != nil {
			return err
		}
	}
	if err := b.admin.Status().Update(ctx, stream); err != nil {
		return err
	}
	b.tellHostile(ctx, stream)
	return nil
}

// tellTries is how often an event is sent again that was not taken.
const tellTries = 5

// tellHostile sends a hostile stream to the receiver as an adapter does. What the receiver does
// with it is the hostile namespace's loss.
func (b *bed) tellHostile(ctx context.Context, stream *imagev1.ImageStream) {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return b.dial(ctx) }}
	defer transport.CloseIdleConnections()
	hostile := &http.Client{Transport: transport, Timeout: 30 * time.Second}
	for range tellTries {
		status, err := b.tell(ctx, hostile, stream)
		if (err == nil && status == http.StatusAccepted) || ctx.Err() != nil {
			return
		}
		<-time.After(200 * time.Millisecond)
	}
}

func (b *bed) tell(ctx context.Context, c *http.Client, stream *imagev1.ImageStream) (status int, err error) {
	event := stream.DeepCopy()
	event.TypeMeta = metav1.TypeMeta{APIVersion: "image.openshift.io/v1", Kind: "ImageStream"}
	body, err := json.Marshal(event)
	if err != nil {
		return 0, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+b.receiverAddress, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	for name, value := range map[string]string{
		"Content-Type": "application/json", "Ce-Specversion": "1.0", "Ce-Id": event.ResourceVersion, "Ce-Source": "tenants",
		"Ce-Type": "dev.knative.apiserver.resource.update", "Ce-Kind": "ImageStream", "Ce-Apiversion": "image.openshift.io/v1",
		"Ce-Name": event.Name, "Ce-Namespace": event.Namespace,
	} {
		request.Header.Set(name, value)
	}
	response, err := c.Do(request)
	if err != nil {
		return 0, err
	}
	defer func() { _ = response.Body.Close() }()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}

// hold opens a connection, sends a beginning, and holds it until the receiver closes it.
func (b *bed) hold(beginning string) func(context.Context) error {
	return func(ctx context.Context) error {
		connection, err := b.dial(ctx)
		if err != nil {
			return err
		}
		defer context.AfterFunc(ctx, func() { _ = connection.Close() })()
		defer func() { _ = connection.Close() }()
		if _, err := io.WriteString(connection, beginning); err != nil {
			return err
		}
		// What ends it soon was refused, and is tried again at some pace.
		began := time.Now()
		_, err = io.Copy(io.Discard, connection)
		if time.Since(began) < time.Second {
			<-time.After(time.Second)
		}
		return err
	}
}

// settled is for how long connections are held before anything is measured.
const settled = 2 * time.Second

func (b *bed) holdMany(ctx context.Context, number int, beginning string) error {
	for range number {
		b.goOn(ctx, b.hold(beginning))
	}
	<-time.After(settled)
	return nil
}

// beginning is a request that announces a length, and sends a byte.
func beginning(length int) string {
	return fmt.Sprintf("POST / HTTP/1.1\r\nHost: receiver\r\nContent-Type: application/json\r\nCe-Specversion: 1.0\r\nCe-Id: 1\r\n"+
		"Ce-Source: hostile\r\nCe-Type: hostile\r\nContent-Length: %d\r\n\r\n{", length)
}

func announcements(ctx context.Context, b *bed) error {
	return b.holdMany(ctx, 4, beginning(8<<20))
}

func idleConnections(ctx context.Context, b *bed) error {
	return b.holdMany(ctx, b.options.of(900), "")
}

func slowRequests(ctx context.Context, b *bed) error {
	return b.holdMany(ctx, b.options.of(300), beginning(1024))
}

// manyDigests writes the ledger as Revet does.
func manyDigests(ctx context.Context, b *bed) error {
	if err := b.hostile(ctx); err != nil {
		return err
	}
	t := trigger(hostileNamespace, "everything")
	if err := b.create(ctx, t); err != nil {
		return err
	}
	config, err := b.cluster.UserConfig("system:serviceaccount:"+systemNamespace+":controller", "system:serviceaccounts")
	if err != nil {
		return err
	}
	ledger, err := rig.NewClient(config)
	if err != nil {
		return err
	}
	stream, err := b.newStream(ctx, "app")
	if err != nil {
		return err
	}
	name := hostileNamespace + "/" + stream.Name
	r := v1alpha1.RepositoryReference{Kind: v1alpha1.RepositoryImageStream, Name: name, UID: string(stream.UID), Pull: "registry.example.com/" + name}
	return inParallel(ctx, b.options.of(40_000), func(ctx context.Context, n int) error {
		entry, err := rig.NewEntry(t, r, rig.DigestOf(fmt.Sprintf("digest %d", n)), fmt.Sprintf("v%d", n), time.Now())
		if err != nil {
			return err
		}
		rig.Conclude(entry, v1alpha1.OutcomePass, time.Now())
		status := entry.Status
		if err := ledger.Create(ctx, entry); err != nil {
			return err
		}
		entry.Status = status
		return ledger.Status().Update(ctx, entry)
	})
}

// size is how large an object is as JSON.
func size(o any) int {
	encoded, err := json.Marshal(o)
	if err != nil {
		return 0
	}
	return len(encoded)
}

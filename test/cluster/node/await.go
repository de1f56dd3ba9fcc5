package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

const (
	pollInterval = 100 * time.Millisecond
	// remindEvery is how often a long wait is explained.
	remindEvery = 10 * time.Second
)

// permanent marks an error that waiting does not cure.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// waiter waits, and says what for when that takes long. Its zero value is
// silent.
type waiter struct {
	say func(format string, args ...any)
}

// await asks until there is no error any more, or a permanent one. When the
// context ends first, the last error says what was missing.
func (w waiter) await(ctx context.Context, what string, ask func(context.Context) error) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	told := time.Now()
	for {
		last := ask(ctx)
		if last == nil {
			return nil
		}
		if errors.As(last, &permanent{}) {
			return fmt.Errorf("wait for %s: %w", what, last)
		}
		if w.say != nil && time.Since(told) > remindEvery {
			w.say("  still waiting for %s: %v", what, last)
			told = time.Now()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w (%w)", what, last, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

func (w waiter) awaitAPI(ctx context.Context, client kubernetes.Interface) error {
	return w.await(ctx, "the API server", func(ctx context.Context) error {
		return client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
	})
}

// awaitImageAPI waits for the resources of OpenShift that the registry brings.
func (w waiter) awaitImageAPI(ctx context.Context, client kubernetes.Interface) error {
	return w.await(ctx, "the image API", func(ctx context.Context) error {
		return client.Discovery().RESTClient().Get().
			AbsPath("/apis/image.openshift.io/v1/imagestreams").Param("limit", "1").Do(ctx).Error()
	})
}

func (w waiter) awaitNode(ctx context.Context, client kubernetes.Interface) error {
	return w.await(ctx, "the node", func(ctx context.Context) error {
		node, err := client.CoreV1().Nodes().Get(ctx, nodeName, metav1.GetOptions{})
		if err != nil {
			return err
		}
		return nodeReady(node)
	})
}

// nodeReady returns the reason why no Pod could run on the node.
func nodeReady(node *corev1.Node) error {
	for _, taint := range node.Spec.Taints {
		return fmt.Errorf("node %q has taint %q", node.Name, taint.Key)
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type != corev1.NodeReady {
			continue
		}
		if condition.Status == corev1.ConditionTrue {
			return nil
		}
		return fmt.Errorf("node %q is not ready: %s", node.Name, condition.Message)
	}
	return fmt.Errorf("node %q says nothing about being ready", node.Name)
}

// awaitAccount waits for what a Pod without an account of its own runs as.
func (w waiter) awaitAccount(ctx context.Context, client kubernetes.Interface) error {
	return w.await(ctx, "the default ServiceAccount", func(ctx context.Context) error {
		_, err := client.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{})
		return err
	})
}

// awaitDNS asks the DNS Service by its address, which proves kube-proxy too.
func (w waiter) awaitDNS(ctx context.Context) error {
	resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		dialer := net.Dialer{Timeout: time.Second}
		return dialer.DialContext(ctx, network, net.JoinHostPort(dnsIP, "53"))
	}}
	return w.await(ctx, "DNS", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		addresses, err := resolver.LookupHost(ctx, "image-registry.openshift-image-registry.svc."+domain+".")
		if err != nil {
			return err
		}
		if len(addresses) == 0 {
			return fmt.Errorf("DNS knows no address of the registry")
		}
		return nil
	})
}

package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Kubectl runs kubectl with a text as its standard input, and returns what it printed: both
// streams as a person sees them.
type Kubectl func(ctx context.Context, stdin string, args ...string) (output string, err error)

// Gate is the last part of the demo: what was verified starts, and what was not does not.
type Gate struct {
	Kubectl Kubectl
	Out     io.Writer
	// Trust is the namespace of the trigger everything, whose verdicts count.
	Trust string
	// Good and Bad are the references of an image that passed and of one that failed.
	Good, Bad string
}

// Namespaces of the demo, by what a gate does there.
const (
	// AuditedNamespace is behind a gate that only tells.
	AuditedNamespace = "demo-audited"
	// GatedNamespace is behind a gate that refuses.
	GatedNamespace = "demo-gated"
)

// gateTimeout bounds each wait, in kubectl's form.
const gateTimeout = "--timeout=90s"

// errOtherwise is what a demo of a gate that did not do its work ends with.
var errOtherwise = errors.New("the gate did not do what it is for")

// Run shows the gate as a person would try it. An error means that it did not do its work.
func (g Gate) Run(ctx context.Context) error {
	g.say("\nTwo gates, as an operator declares them. One only tells, and the other refuses.\n")
	if err := g.declare(ctx, AuditedNamespace, "Audit"); err != nil {
		return err
	}
	if err := g.declare(ctx, GatedNamespace, "Deny"); err != nil {
		return err
	}
	if err := g.show(ctx, "get", "imagegates"); err != nil {
		return err
	}
	g.say("\nWhere the gate only tells, the bad image starts:\n")
	if err := g.start(ctx, AuditedNamespace, "bad", g.Bad); err != nil {
		return err
	}
	g.say("\nWhere it refuses, the good image starts, pinned to the digest that passed:\n")
	if err := g.start(ctx, GatedNamespace, "good", g.Good); err != nil {
		return err
	}
	g.say("\nThe bad one does not:\n")
	return g.refused(ctx, GatedNamespace, "bad", g.Bad)
}

// declare makes a namespace and a gate for it, and waits until the gate is in force.
func (g Gate) declare(ctx context.Context, namespace, mode string) error {
	if _, err := g.Kubectl(ctx, "", "create", "namespace", namespace); err != nil {
		return err
	}
	manifest := gateYAML(namespace, g.Trust, mode)
	out, err := g.Kubectl(ctx, manifest, "apply", "-f", "-")
	if err != nil {
		return err
	}
	g.say("\n$ kubectl apply -f - <<EOF\n%sEOF\n%s", manifest, out)
	_, err = g.Kubectl(ctx, "", "wait", "imagegate/"+namespace, gateTimeout, "--for=jsonpath={.status.mode}="+mode)
	return err
}

// start makes a Pod that has to start.
func (g Gate) start(ctx context.Context, namespace, name, image string) error {
	if err := g.show(ctx, "run", name, "-n", namespace, "--image="+image); err != nil {
		return err
	}
	if _, err := g.Kubectl(ctx, "", "wait", "pod/"+name, "-n", namespace, gateTimeout, "--for=condition=Ready"); err != nil {
		return err
	}
	return g.show(ctx, "get", "pod", name, "-n", namespace,
		"-o", "custom-columns=NAME:.metadata.name,PHASE:.status.phase,IMAGE:.spec.containers[0].image")
}

// refused tries to make a Pod that the namespace's gate has to refuse.
func (g Gate) refused(ctx context.Context, namespace, name, image string) error {
	args := []string{"run", name, "-n", namespace, "--image=" + image}
	out, err := g.Kubectl(ctx, "", args...)
	g.say("\n$ kubectl %s\n%s", strings.Join(args, " "), out)
	switch {
	case err == nil:
		return fmt.Errorf("%w: it did not refuse Pod %s in namespace %s", errOtherwise, name, namespace)
	case !strings.Contains(out, "ImageGate "+namespace+" refuses "):
		return fmt.Errorf("%w: something else refused Pod %s", errOtherwise, name)
	default:
		return nil
	}
}

func (g Gate) show(ctx context.Context, args ...string) error {
	out, err := g.Kubectl(ctx, "", args...)
	if err != nil {
		return err
	}
	g.say("\n$ kubectl %s\n%s", strings.Join(args, " "), out)
	return nil
}

func (g Gate) say(format string, args ...any) { fmt.Fprintf(g.Out, format, args...) }

func gateYAML(name, trust, mode string) string {
	return fmt.Sprintf(`apiVersion: revet.dev/v1alpha1
kind: ImageGate
metadata: {name: %[1]s}
spec:
  namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: %[1]s}}
  trust: [{namespace: %[2]s, trigger: everything}]
  require: {checks: [scan, validate], sandboxed: true}
  mode: %[3]s
`, name, trust, mode)
}

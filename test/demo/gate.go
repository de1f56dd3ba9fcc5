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
	if err := g.declare(ctx); err != nil {
		return err
	}
	for _, try := range []struct {
		namespace, name, image string
		starts                 bool
	}{
		{AuditedNamespace, "bad", g.Bad, true},
		{GatedNamespace, "good", g.Good, true},
		{GatedNamespace, "bad", g.Bad, false},
	} {
		if err := g.start(ctx, try.namespace, try.name, try.image, try.starts); err != nil {
			return err
		}
	}
	return g.told(ctx)
}

// declare makes two namespaces, and a gate for each, and waits until both are in force.
func (g Gate) declare(ctx context.Context) error {
	g.say("\nTwo gates, as an operator declares them: one tells, and one refuses.\n")
	for _, gate := range []struct{ namespace, mode string }{{AuditedNamespace, "Audit"}, {GatedNamespace, "Deny"}} {
		manifest := gateYAML(gate.namespace, g.Trust, gate.mode)
		g.say("\n$ kubectl apply -f - <<EOF\n%sEOF\n", manifest)
		out, err := g.Kubectl(ctx, manifest, "apply", "-f", "-")
		if err != nil {
			return err
		}
		g.say("%s", out)
		if _, err := g.Kubectl(ctx, "", "wait", "imagegate/"+gate.namespace, gateTimeout,
			"--for=jsonpath={.status.mode}="+gate.mode); err != nil {
			return fmt.Errorf("waiting for mode %s: %w", gate.mode, err)
		}
	}
	for _, condition := range []string{"Ready", "UpToDate"} {
		if _, err := g.Kubectl(ctx, "", "wait", "imagegates", "--all", gateTimeout, "--for=condition="+condition); err != nil {
			return err
		}
	}
	return g.show(ctx, "get", "imagegates")
}

// start makes a Pod, and shows what a person sees.
func (g Gate) start(ctx context.Context, namespace, name, image string, starts bool) error {
	args := []string{"run", name, "-n", namespace, "--image=" + image}
	g.say("\n$ kubectl %s\n", strings.Join(args, " "))
	out, err := g.Kubectl(ctx, "", args...)
	g.say("%s", out)
	switch {
	case starts && err != nil:
		return fmt.Errorf("%w: Pod %s was refused in namespace %s", errOtherwise, name, namespace)
	case !starts && err == nil:
		return fmt.Errorf("%w: Pod %s was not refused in namespace %s", errOtherwise, name, namespace)
	case !starts && !strings.Contains(out, "ImageGate "+namespace+" refuses "):
		return fmt.Errorf("%w: Pod %s was refused by something else", errOtherwise, name)
	case !starts:
		return nil
	}
	if _, err := g.Kubectl(ctx, "", "wait", "pod/"+name, "-n", namespace, gateTimeout, "--for=condition=Ready"); err != nil {
		return err
	}
	return g.show(ctx, "get", "pod", name, "-n", namespace, "-o", "custom-columns=NAME:.metadata.name,PHASE:.status.phase,IMAGE:.spec.containers[0].image")
}

// told shows what runs, which both gates tell.
func (g Gate) told(ctx context.Context) error { return nil }

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

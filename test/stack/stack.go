package stack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/revet-dev/revet/test/cluster/node"
	"github.com/revet-dev/revet/test/cluster/upstream"
)

// System is the namespace of Revet itself.
const System = "revet-system"

// Stack is the software of one local cluster.
type Stack struct {
	// Root is the checkout whose config/, eventing/ and triggers/ are applied.
	Root string
	// Cache is the cache directory.
	Cache string
	Info  *node.Info
	// Profile says how much of Knative is installed.
	Profile upstream.Profile
	// Out receives progress lines.
	Out io.Writer
}

// Config returns the administrator's access to the cluster.
func (s *Stack) Config() (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", s.Info.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("reading %q: %w", s.Info.Kubeconfig, err)
	}
	config.QPS, config.Burst = 200, 400
	return config, nil
}

// Install puts Knative, Tekton and Revet on the cluster. Revet's images are
// built while upstream's Pods start.
func (s *Stack) Install(ctx context.Context) error {
	config, err := s.Config()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		done <- upstream.Install(ctx, upstream.Options{
			RESTConfig: config, Registry: s.Info.RegistryHost, CacheDir: s.Cache, ModuleDir: filepath.Join(s.Root, "test"),
			Profile: s.Profile,
			Log:     func(format string, args ...any) { s.logf(format, args...) },
		})
	}()
	err = s.installRevet(ctx)
	if err != nil {
		cancel()
	}
	if err := errors.Join(err, <-done); err != nil {
		return err
	}
	return s.ready(ctx)
}

func (s *Stack) installRevet(ctx context.Context) error {
	began := time.Now()
	if err := s.KoApply(ctx, ".", "-f", "config/"); err != nil {
		return err
	}
	if err := s.apply(ctx, localRegistry(s.Info.RegistryInCluster)); err != nil {
		return err
	}
	s.logf("revet: ko apply -f config/ took %s", time.Since(began).Round(100*time.Millisecond))
	return nil
}

// ready waits for Revet's Deployments. They may have been restarting until
// upstream's resources were there.
func (s *Stack) ready(ctx context.Context) error {
	for _, name := range []string{"receiver", "controller", "attestor"} {
		if _, err := s.Kubectl(ctx, "rollout", "status", "-n", System, "deployment/"+name, "--timeout=120s"); err != nil {
			return err
		}
	}
	s.logf("revet: receiver, controller and attestor are ready")
	return nil
}

// KoApply runs "ko apply" with the arguments in a folder of the checkout: "."
// for the product, "test" for what is built from the test module.
func (s *Stack) KoApply(ctx context.Context, folder string, args ...string) error {
	_, err := s.ko(ctx, folder, append([]string{"apply", "--sbom=none"}, args...)...)
	return err
}

// KoBuild runs "ko build" for a program in a folder of the checkout, and returns the
// reference of its image, for manifests that take it from a parameter.
func (s *Stack) KoBuild(ctx context.Context, folder, program string) (string, error) {
	out, err := s.ko(ctx, folder, "build", "--sbom=none", program)
	return strings.TrimSpace(out), err
}

// ko runs ko in a folder of the checkout, and returns what it printed.
func (s *Stack) ko(ctx context.Context, folder string, args ...string) (string, error) {
	ko, err := upstream.EnsureKo(ctx, s.Cache)
	if err != nil {
		return "", err
	}
	base, err := upstream.PushBase(ctx, s.Info.RegistryHost)
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, ko, args...)
	cmd.Dir = filepath.Join(s.Root, folder)
	config := "" // ko.yaml names the product's programs; ko looks for them in the folder
	if folder == "." {
		config = "ko.yaml"
	}
	cmd.Env = append(s.environ(), upstream.KoEnv(s.Info.RegistryHost+"/revet/images", base, config)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("ko %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.String(), nil
}

// Kubectl runs kubectl against the cluster and returns what it printed.
func (s *Stack) Kubectl(ctx context.Context, args ...string) (string, error) {
	return s.run(ctx, "", s.Info.Kubectl, args...)
}

// KubectlSays runs kubectl with a text as its standard input, and returns all that it printed,
// warnings and what it was refused for included, as a person sees them.
func (s *Stack) KubectlSays(ctx context.Context, stdin string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, s.Info.Kubectl, args...)
	cmd.Env = s.environ()
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return string(out), nil
}

// BuildPlugin builds kubectl-revet from the checkout into the cluster's state
// directory and returns its path.
func (s *Stack) BuildPlugin(ctx context.Context) (string, error) {
	binary := filepath.Join(s.Info.Dir, "kubectl-revet")
	build := exec.CommandContext(ctx, "go", "build", "-ldflags=-s -w", "-o", binary, "./cmd/kubectl-revet")
	build.Dir = s.Root
	build.Env = append(os.Environ(), upstream.KoEnv("", "", "")...)
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building kubectl-revet: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return binary, nil
}

// Revet runs "kubectl revet", built from the checkout, and returns what it printed.
func (s *Stack) Revet(ctx context.Context, args ...string) (string, error) {
	binary, err := s.BuildPlugin(ctx)
	if err != nil {
		return "", err
	}
	return s.run(ctx, "", binary, args...)
}

// apply applies YAML.
func (s *Stack) apply(ctx context.Context, yaml string) error {
	_, err := s.run(ctx, yaml, s.Info.Kubectl, "apply", "-f", "-")
	return err
}

// Apply applies YAML.
func (s *Stack) Apply(ctx context.Context, yaml string) error { return s.apply(ctx, yaml) }

func (s *Stack) run(ctx context.Context, stdin, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = s.Root
	cmd.Env = s.environ()
	cmd.Stdin = strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%s %s: %w: %s", filepath.Base(program), strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

// environ lets ko find the cluster and its kubectl.
func (s *Stack) environ() []string {
	return append(os.Environ(),
		"KUBECONFIG="+s.Info.Kubeconfig,
		"PATH="+filepath.Dir(s.Info.Kubectl)+string(os.PathListSeparator)+os.Getenv("PATH"))
}

func (s *Stack) logf(format string, args ...any) {
	if s.Out != nil {
		fmt.Fprintf(s.Out, "  "+format+"\n", args...)
	}
}

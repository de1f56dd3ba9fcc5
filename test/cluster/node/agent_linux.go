package node

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// startTimeout bounds the start of a cluster whose binaries are there.
const startTimeout = 5 * time.Minute

// runAgent runs the cluster's programs inside the namespaces, until one of
// them keeps ending.
func runAgent(c Config, initPID int) error {
	files := inherited("api", "registry", "reports")
	reports := newReporter(files[2])
	a := agent{config: c, initPID: initPID, say: reports.say}
	err := a.run(files[0], files[1], func() {
		reports.send(report{Ready: true})
		_ = files[2].Close()
	})
	if err != nil {
		reports.send(report{Error: err.Error()})
	}
	return err
}

type agent struct {
	config  Config
	initPID int
	say     func(format string, args ...any)
}

// run returns only errors: a cluster ends by the end of its process 1.
func (a agent) run(api, images *os.File, ready func()) error {
	if err := a.forward(api, apiInside); err != nil {
		return err
	}
	if err := a.forward(images, registryInside); err != nil {
		return err
	}
	// The group's context ends with the first component that keeps ending.
	running, ctx := errgroup.WithContext(context.Background())
	running.Go(func() error {
		if err := a.start(ctx, running); err != nil {
			return err
		}
		ready()
		return nil
	})
	return running.Wait()
}

func (a agent) forward(file *os.File, to string) error {
	listener, err := listenerOf(file)
	if err != nil {
		return err
	}
	go forward(listener, to)
	return nil
}

func (a agent) launch(ctx context.Context, running *errgroup.Group, all []component) {
	env := environment(a.config)
	for _, c := range all {
		running.Go(func() error { return keepRunning(ctx, c, logFile(a.config, c.name), env) })
	}
}

// start starts everything and returns when the cluster can be used.
func (a agent) start(life context.Context, running *errgroup.Group) error {
	ctx, cancel := context.WithTimeout(life, startTimeout)
	defer cancel()
	client, err := a.client()
	if err != nil {
		return err
	}
	all, w := newComponents(a.config), waiter{say: a.say}
	a.launch(life, running, all.first)
	image, _ := errgroup.WithContext(ctx)
	image.Go(func() error { return w.pushPause(ctx, a.config.Pause) })

	if err := w.awaitAPI(ctx, client); err != nil {
		return err
	}
	a.say("API server ready")
	a.launch(life, running, all.then)
	if err := w.makeObjects(ctx, client); err != nil {
		return err
	}
	if err := image.Wait(); err != nil {
		return err
	}
	if err := w.awaitImageAPI(ctx, client); err != nil {
		return err
	}
	a.say("registry and image API ready")
	if err := w.awaitNode(ctx, client); err != nil {
		return err
	}
	a.say("node %s Ready, RuntimeClass %s", nodeName, KataNote)
	a.launch(life, running, all.last)
	if err := w.awaitAccount(ctx, client); err != nil {
		return err
	}
	if err := w.awaitDNS(ctx); err != nil {
		return err
	}
	a.say("DNS answers")
	if err := writeJSON(a.config.paths().info(), a.info()); err != nil {
		return err
	}
	slog.Info("cluster ready")
	return nil
}

func (a agent) client() (kubernetes.Interface, error) {
	config, err := clientcmd.BuildConfigFromFlags("", a.config.file("kubeconfigs", "admin"))
	if err != nil {
		return nil, fmt.Errorf("read the agent's kubeconfig: %w", err)
	}
	config.QPS, config.Burst = 200, 400
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make the agent's client: %w", err)
	}
	return client, nil
}

func (a agent) info() Info {
	c := a.config
	return Info{
		ID: c.ID, Checkout: c.Checkout, Dir: c.Dir,
		Kubeconfig:        c.file("kubeconfig"),
		APIServer:         c.apiURL(),
		RegistryHost:      "localhost:" + strconv.Itoa(c.RegistryPort),
		RegistryInCluster: RegistryInCluster,
		RegistryDir:       c.RegistryDir,
		Kubectl:           c.kubectl(),
		Logs:              c.paths().logs(),
		PID:               c.SupervisorPID,
		InitPID:           a.initPID,
		Started:           time.Now().UTC().Truncate(time.Second),
		Versions:          c.Versions,
	}
}

package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Up starts the checkout's cluster and returns when it can be used. Where it
// runs already, Up says so and returns what it is. When the context ends before
// the cluster is ready, nothing of it stays.
func Up(ctx context.Context, o Options) (*Info, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := preflight(o); err != nil {
		return nil, err
	}
	progress := newConsole(o.Out)
	p := o.paths()
	if err := os.MkdirAll(filepath.Dir(p.dir), 0o755); err != nil {
		return nil, fmt.Errorf("make the clusters' directory: %w", err)
	}
	lock, info, err := acquire(ctx, p, progress)
	if err != nil {
		return nil, err
	}
	if info != nil {
		progress.say("the cluster of %s is running already, since %s", o.Root, info.Started.Local().Format(time.DateTime))
		return info, nil
	}
	defer lock.Close()
	if err := cleanUp(p, o.id()); err != nil {
		return nil, fmt.Errorf("remove what an earlier cluster left: %w", err)
	}
	if err := installPackages(ctx, o, progress); err != nil {
		return nil, err
	}
	tools, err := buildTools(ctx, o, progress)
	if err != nil {
		return nil, err
	}
	return start(ctx, o, p, tools, lock, progress)
}

// acquire takes the checkout's lock, or returns the cluster that has it.
func acquire(ctx context.Context, p paths, progress *console) (*os.File, *Info, error) {
	const remind = 15 * time.Second
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	var told time.Time
	for {
		file, ok, err := tryLock(p.lock)
		if err != nil || ok {
			return file, nil, err
		}
		if info, state, err := status(p); err == nil && state == Running {
			return nil, info, nil
		}
		if time.Since(told) > remind {
			progress.say("waiting: another command is starting this checkout's cluster or taking it down")
			told = time.Now()
		}
		select {
		case <-ctx.Done():
			return nil, nil, fmt.Errorf("wait for the other command: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

// start writes the cluster's configuration, starts its supervisor and follows
// it until the cluster is ready.
func start(ctx context.Context, o Options, p paths, t tools, lock *os.File, progress *console) (*Info, error) {
	api, images, err := listenOnHost(o, progress)
	if err != nil {
		return nil, err
	}
	defer api.Close()
	defer images.Close()
	c, err := prepare(o, p, t, portOf(api), portOf(images))
	if err != nil {
		return nil, err
	}
	s, err := spawn(c, lock, api, images)
	if err != nil {
		return nil, errors.Join(err, cleanUp(p, c.ID))
	}
	defer s.close()
	// From here on the supervisor and the janitor hold the lock.
	_ = lock.Close()
	progress.say("starting the cluster (id %s, logs in %s)", c.ID, p.logs())
	err = s.follow(ctx, progress)
	if err == nil {
		info, err := Load(p.dir)
		if err != nil {
			return nil, err
		}
		progress.say("the cluster is ready")
		return info, nil
	}
	s.close() // makes the supervisor take everything down
	if endErr := awaitEnded(context.WithoutCancel(ctx), p, c.ID); endErr != nil {
		return nil, errors.Join(err, endErr)
	}
	return nil, fmt.Errorf("start the cluster: %w; nothing of it is left but its logs in %q", err, p.logs())
}

func listenOnHost(o Options, progress *console) (api, images *net.TCPListener, err error) {
	if api, err = listenPreferred(o.APIPort); err != nil {
		return nil, nil, err
	}
	if images, err = listenPreferred(o.RegistryPort); err != nil {
		_ = api.Close()
		return nil, nil, err
	}
	if got := portOf(images); got != o.RegistryPort {
		progress.say("port %d is in use on this machine: the registry is at localhost:%d", o.RegistryPort, got)
	}
	return api, images, nil
}

// prepare fills the state directory.
func prepare(o Options, p paths, t tools, apiPort, registryPort int) (Config, error) {
	c := Config{
		ID: o.id(), Checkout: o.Root, Cache: o.Cache, Dir: p.dir, RegistryDir: p.registry,
		Executable: filepath.Join(p.dir, "cluster"),
		Kube:       t.kube, Pause: t.pause, GVisor: t.gvisor, Router: t.router, CNI: t.cni,
		Snapshotter: snapshotter(o.Cache),
		APIPort:     apiPort, RegistryPort: registryPort, Notify: o.Notify,
		KubernetesVersion: t.versions["kubernetes"], Versions: t.versions,
	}
	// The logs of the cluster before have been there to be read until now.
	if err := os.RemoveAll(p.dir); err != nil {
		return c, fmt.Errorf("remove old logs: %w", err)
	}
	if o.FreshRegistry {
		c.RegistryDir = c.file("registry")
	}
	for _, dir := range []string{p.logs(), c.file("tmp"), c.file("kubelet"), c.RegistryDir} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return c, fmt.Errorf("make the cluster's directory: %w", err)
		}
	}
	if err := copyFile(t.cluster, c.Executable); err != nil {
		return c, err
	}
	files, err := render(c)
	if err != nil {
		return c, err
	}
	if err := writeFiles(p.dir, files); err != nil {
		return c, err
	}
	if files, err = credentials(c, time.Now()); err != nil {
		return c, err
	}
	if err := writeFiles(p.dir, files); err != nil {
		return c, err
	}
	return c, writeJSON(p.config(), c)
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("copy the cluster command: %w", err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o755)
	if err != nil {
		return fmt.Errorf("copy the cluster command: %w", err)
	}
	if _, err := io.Copy(out, in); err != nil {
		_ = out.Close()
		return fmt.Errorf("copy the cluster command: %w", err)
	}
	return out.Close()
}

// spawned is a supervisor seen from Up.
type spawned struct {
	reports *os.File
	life    *os.File
}

func (s *spawned) close() {
	_ = s.life.Close()
	_ = s.reports.Close()
}

func spawn(c Config, lock *os.File, api, images *net.TCPListener) (*spawned, error) {
	apiFile, err := api.File()
	if err != nil {
		return nil, fmt.Errorf("pass the API server's listener on: %w", err)
	}
	defer apiFile.Close()
	imagesFile, err := images.File()
	if err != nil {
		return nil, fmt.Errorf("pass the registry's listener on: %w", err)
	}
	defer imagesFile.Close()
	reports, reportsOut, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make the pipe of reports: %w", err)
	}
	defer reportsOut.Close()
	caller, life, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make the supervisor's pipe: %w", err)
	}
	defer caller.Close()
	log, err := os.OpenFile(logFile(c, "supervisor"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the supervisor's log: %w", err)
	}
	defer log.Close()
	cmd := roleCommand(c, "supervisor", lock, apiFile, imagesFile, reportsOut, caller)
	cmd.Stdout, cmd.Stderr = log, log
	// A Ctrl-C at the terminal is for Up, and so is the terminal's end.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the supervisor: %w", err)
	}
	// It outlives this process, unless this is a test; then it must be reaped.
	go func() { _ = cmd.Wait() }()
	return &spawned{reports: reports, life: life}, nil
}

// follow prints what the cluster reports and lets it stay when it is ready.
func (s *spawned) follow(ctx context.Context, progress *console) error {
	read := make(chan error, 1)
	go func() { read <- readReports(s.reports, func(text string) { progress.say("%s", text) }) }()
	select {
	case err := <-read:
		if err != nil {
			return err
		}
	case <-ctx.Done():
		return ctx.Err()
	}
	if _, err := s.life.Write([]byte{1}); err != nil {
		return fmt.Errorf("let the cluster stay: %w", err)
	}
	return nil
}

// goEnvironment is the environment of every go command. One set of flags for
// all of them makes one build cache.
func goEnvironment() []string {
	return append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-trimpath -buildvcs=false", "GOWORK=off")
}

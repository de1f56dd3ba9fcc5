//go:build linux

package chaos

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	imagev1 "github.com/openshift/api/image/v1"
	"golang.org/x/sync/errgroup"
	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/test/cluster/openshift/imageapi"
	"github.com/revet-dev/revet/test/rig"
)

// plays are what can happen. They return the number of faults, once the last is over and all is pushed.
var plays = map[Play]func(*env, context.Context) (int, error){
	Random: (*env).random, AdapterDown: (*env).adapterDown, Burst: (*env).burst, LeaderStopped: (*env).leaderStopped,
	Trouble: (*env).trouble,
}

// random makes the pushes and the faults of the seed.
func (w *env) random(ctx context.Context) (int, error) {
	faulty, calm := context.WithCancel(ctx)
	defer calm()
	done := make(chan int)
	go func() { done <- w.disturb(faulty) }()
	err := w.pusher.all(ctx, ScriptOf(w.seed, w.options.Shape))
	calm()
	return <-done, err
}

// adapterDown makes 50 pushes over three tags of one stream, while nobody watches it.
func (w *env) adapterDown(ctx context.Context) (int, error) {
	adapters := w.targets["adapter"]
	w.timeline.note("fault", "begins: the adapters are down")
	adapters.each(func(p *part) { p.take(syscall.SIGKILL) })
	var pushes []Push
	for tag, number := range []int{10, 20, 20} {
		for range number {
			pushes = append(pushes, Push{Tag: tag, Image: len(pushes) + 1, Kind: New})
		}
	}
	err := w.pusher.all(ctx, pushes)
	w.timeline.note("fault", "is over: the adapters are started")
	return 1, errors.Join(err, adapters.startAll())
}

// stopped is how long the leader is: four times its lease.
const stopped = 60 * time.Second

// leaderStopped sends SIGSTOP to the controller that leads, and SIGCONT when another has led for long.
func (w *env) leaderStopped(ctx context.Context) (int, error) {
	leader, err := w.leader(ctx)
	if err != nil {
		return 0, err
	}
	fault := make(chan error)
	go func() {
		f := Fault{Target: leader, Action: Pause, Length: stopped}
		w.timeline.note("fault", "begins: %s, who leads", f)
		err := w.targets[leader].do(f)
		w.timeline.note("fault", "is over: %s", f)
		fault <- err
	}()
	err = w.pusher.all(ctx, ScriptOf(w.seed, w.options.Shape))
	return 1, errors.Join(err, <-fault)
}

// leader is the holder of the lease for entries.
func (w *env) leader(ctx context.Context) (string, error) {
	var leases coordinationv1.LeaseList
	if err := w.admin.List(ctx, &leases, client.InNamespace(systemNamespace)); err != nil {
		return "", err
	}
	var all []string
	for _, l := range leases.Items {
		if l.Spec.HolderIdentity == nil {
			continue
		}
		if holder := *l.Spec.HolderIdentity; strings.Contains(l.Name, "verification") && w.targets[holder] != nil {
			return holder, nil
		}
		all = append(all, l.Name+" of "+*l.Spec.HolderIdentity)
	}
	return "", fmt.Errorf("no controller leads for entries: the leases are %q", all)
}

// mostConcurrent is the most that an ImageTrigger may allow, so that a burst is not held back.
const mostConcurrent = 1000

// burst writes the objects of all pushes as fast as the API server takes them, side by side for each stream.
func (w *env) burst(ctx context.Context) (int, error) {
	trigger := &v1alpha1.ImageTrigger{}
	if err := w.admin.Get(ctx, client.ObjectKey{Namespace: vetting, Name: triggerName}, trigger); err != nil {
		return 0, err
	}
	trigger.Spec.MaxConcurrent = mostConcurrent
	if err := w.admin.Update(ctx, trigger); err != nil {
		return 0, err
	}
	if err := w.awaitTrigger(ctx); err != nil {
		return 0, err
	}
	w.pusher.direct = true
	began := time.Now()
	streams, ctx := errgroup.WithContext(ctx)
	for n := range w.options.Shape.Streams {
		streams.Go(func() error { return w.burstOf(ctx, n) })
	}
	err := streams.Wait()
	w.timeline.note("burst", "%d pushes were written in %s", len(w.pusher.acknowledged()), time.Since(began))
	return 0, err
}

// burstOf makes the pushes of one stream, each with a digest of its own, over its tags in turn.
func (w *env) burstOf(ctx context.Context, n int) error {
	namespace, name := repository(n)
	stream := &imagev1.ImageStream{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	if err := w.admin.Create(ctx, stream); err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	shape := w.options.Shape
	for i := n; i < shape.Pushes; i += shape.Streams {
		digest := rig.DigestOf(fmt.Sprintf("seed %d image %d", w.seed, i))
		reference := stream.Status.DockerImageRepository + "@" + digest
		if err := w.admin.Create(ctx, rig.NewImage(digest, reference)); err != nil {
			return err
		}
		tag := tagName(i / shape.Streams % shape.Tags)
		imageapi.AddTagEvent(stream, tag, imagev1.TagEvent{
			Created: metav1.NewTime(time.Now().Truncate(time.Second)), DockerImageReference: reference, Image: digest, Generation: 1,
		})
		if err := w.admin.Status().Update(ctx, stream); err != nil {
			return err
		}
		w.pusher.acknowledge(acknowledged{namespace + "/" + name, tag, digest})
	}
	return nil
}

// coverage asks Revet's own command line, if it can tell.
func (w *env) coverage(ctx context.Context) string {
	program := filepath.Join(w.options.Dir, programsDir, "kubectl-revet")
	help, _ := exec.CommandContext(ctx, program, "help").CombinedOutput()
	if !strings.Contains(string(help), "coverage") {
		return ""
	}
	kubeconfig := filepath.Join(w.timeline.dir, "admin.kubeconfig")
	if err := rig.WriteKubeconfig(kubeconfig, w.adminConfig); err != nil {
		return err.Error()
	}
	out, err := exec.CommandContext(ctx, program, "coverage", "--kubeconfig", kubeconfig, "--namespace", vetting).CombinedOutput()
	if err != nil {
		return string(out) + err.Error()
	}
	return string(out)
}

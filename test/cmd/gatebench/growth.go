//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/revet-dev/revet/test/rig"
)

// The goals of growth under load, in MiB.
const (
	mostEtcd      = 300.0
	mostAPIServer = 512.0
	mebibyte      = 1 << 20
	// lookEvery is how often growth looks, and rowEvery how often that is a row of the table.
	lookEvery = time.Second
	rowEvery  = time.Minute
)

// size is what everything takes at a time, in MiB.
type size struct {
	at       time.Duration
	verdicts int64
	// file is etcd's, and inUse how much of it is.
	file, inUse                 float64
	etcd, apiServer, controller float64
}

// growth watches what everything takes.
type growth struct {
	bed   *bed
	etcd  *clientv3.Client
	began time.Time
	rows  []size
	first size
	// most of each, whenever that was.
	most size
	// seconds that the processes had computed before.
	computed map[string]float64
}

func (b *bed) newGrowth(ctx context.Context) (*growth, error) {
	etcd, err := clientv3.New(clientv3.Config{Endpoints: []string{b.etcdURL}, DialTimeout: startPatience})
	if err != nil {
		return nil, fmt.Errorf("making a client of etcd: %w", err)
	}
	g := &growth{bed: b, etcd: etcd, began: time.Now()}
	if g.first, err = g.look(ctx); err == nil {
		g.computed, err = g.processors()
	}
	if err != nil {
		return nil, errors.Join(err, etcd.Close())
	}
	g.most, g.rows = g.first, []size{g.first}
	return g, nil
}

func (g *growth) close() { _ = g.etcd.Close() }

// look asks etcd and the kernel.
func (g *growth) look(ctx context.Context) (size, error) {
	s := size{at: time.Since(g.began)}
	status, err := g.etcd.Status(ctx, g.bed.etcdURL)
	if err != nil {
		return s, fmt.Errorf("asking etcd for its size: %w", err)
	}
	s.file, s.inUse = float64(status.DbSize)/mebibyte, float64(status.DbSizeInUse)/mebibyte
	for _, p := range []struct {
		process *rig.Process
		into    *float64
	}{{g.bed.etcd, &s.etcd}, {g.bed.apiServer, &s.apiServer}, {g.bed.controller, &s.controller}} {
		if *p.into, err = rig.MemoryMiB(p.process.Cmd.Process.Pid, "VmRSS"); err != nil {
			return s, err
		}
	}
	return s, nil
}

// lookPatience bounds a look: an etcd that has ended never answers.
const lookPatience = 10 * time.Second

// lookBeyond looks even if the context has ended.
func (g *growth) lookBeyond(ctx context.Context) (size, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookPatience)
	defer cancel()
	return g.look(ctx)
}

// watch looks until the context ends, and once more.
func (g *growth) watch(ctx context.Context, written *atomic.Int64) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for last := false; !last; {
		select {
		case <-ctx.Done():
			last = true
		case <-tick.C:
		}
		s, err := g.lookBeyond(ctx)
		if err != nil {
			return err
		}
		s.verdicts = written.Load()
		g.most.note(s)
		if last || s.at >= time.Duration(len(g.rows))*rowEvery {
			g.rows = append(g.rows, s)
		}
	}
	return nil
}

// note keeps the greater of each.
func (s *size) note(o size) {
	s.file, s.inUse = max(s.file, o.file), max(s.inUse, o.inUse)
	s.etcd, s.apiServer, s.controller = max(s.etcd, o.etcd), max(s.apiServer, o.apiServer), max(s.controller, o.controller)
}

func (s size) cells(name string) []any {
	cells := []any{name, s.verdicts}
	for _, mib := range []float64{s.file, s.inUse, s.etcd, s.apiServer, s.controller} {
		cells = append(cells, fmt.Sprintf("%.1f", mib))
	}
	return cells
}

// processors is how long each process has computed, in seconds.
func (g *growth) processors() (map[string]float64, error) {
	all := map[string]float64{}
	var errs []error
	for name, pid := range map[string]int{
		"etcd": g.bed.etcd.Cmd.Process.Pid, "API server": g.bed.apiServer.Cmd.Process.Pid,
		"controller": g.bed.controller.Cmd.Process.Pid, "this program": os.Getpid(),
	} {
		seconds, err := rig.ProcessorSeconds(pid)
		all[name] = seconds
		errs = append(errs, err)
	}
	return all, errors.Join(errs...)
}

// say prints what was seen, and judges it.
func (g *growth) say() {
	t := &table{}
	t.row("MiB after", "verdicts", "etcd file", "of it in use", "etcd RSS", "API server RSS", "controller RSS")
	for _, s := range g.rows {
		t.row(s.cells(s.at.Round(time.Second).String())...)
	}
	last := g.rows[len(g.rows)-1]
	g.most.verdicts = last.verdicts
	t.row(g.most.cells("most")...)
	g.bed.say("%s", t)
	if now, err := g.processors(); err == nil {
		used := map[string]string{}
		for name, seconds := range now {
			used[name] = fmt.Sprintf("%.1f", seconds-g.computed[name])
		}
		g.bed.say("processor seconds: %v", used)
	}
	if !g.bed.options.parts[partGrowth] {
		return
	}
	note := fmt.Sprintf("over %s, the most less what was before", last.at.Round(time.Second))
	g.bed.judge("growth of etcd's file", " MiB", mostEtcd, g.most.file-g.first.file, note)
	g.bed.judge("growth of what is in use of it", " MiB", mostEtcd, g.most.inUse-g.first.inUse, note)
	g.bed.judge("growth of the API server's memory", " MiB", mostAPIServer, g.most.apiServer-g.first.apiServer, note)
	g.bed.say("growth of the controller's memory: %.1f MiB; no goal is set for it", g.most.controller-g.first.controller)
}

package fast

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
)

// slowRequest is worth a line; without a value etcd writes one for each request.
const slowRequest = 2 * time.Second

// store is a running etcd. That of another process has no more than a URL.
type store struct {
	etcd *embed.Etcd
	url  string
}

// StartEtcd starts the etcd of a cluster alone, with its data below dir, and returns its client URL. It is for measuring
// what etcd and the API server cost each: see [Options.Etcd]. Durable makes it sync what it writes to the disk, as etcd
// does but for tests.
func StartEtcd(ctx context.Context, dir string, durable bool) (url string, stop func(), err error) {
	log := &tail{}
	s, err := startEtcd(ctx, dir, durable, log)
	if err != nil {
		return "", nil, log.explain(err)
	}
	return s.url, s.stop, nil
}

func startEtcd(ctx context.Context, dir string, durable bool, log *tail) (*store, error) {
	free := []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	c := embed.NewConfig()
	c.Dir = filepath.Join(dir, "etcd")
	c.ListenClientUrls, c.AdvertiseClientUrls = free, free
	c.ListenPeerUrls, c.AdvertisePeerUrls = free, free
	c.InitialCluster = c.InitialClusterFromName(c.Name)
	c.UnsafeNoFsync = !durable
	c.WarningUnaryRequestDuration = slowRequest
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zapTo(log))
	etcd, err := embed.StartEtcd(c)
	if err != nil {
		return nil, fmt.Errorf("starting etcd: %w", err)
	}
	s := &store{etcd: etcd, url: "http://" + etcd.Clients[0].Addr().String()}
	select {
	case <-etcd.Server.ReadyNotify():
		return s, nil
	case err := <-etcd.Err():
		s.stop()
		return nil, fmt.Errorf("starting etcd: %w", err)
	case <-ctx.Done():
		s.stop()
		return nil, fmt.Errorf("starting etcd: %w", errors.Join(ctx.Err(), errors.New("it did not become ready")))
	}
}

func (s *store) stop() {
	if s.etcd != nil {
		s.etcd.Close()
	}
}

package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"go.uber.org/zap"
)

// server is an HTTP server with limits, which drains when it is stopped.
type server struct {
	http        *http.Server
	listener    net.Listener
	connections *connections
	failed      chan error
}

func newServer(handler http.Handler, log *zap.Logger) *server {
	open := newConnections(maxConnections, maxConnectionsOfAddress)
	return &server{
		connections: open,
		failed:      make(chan error, 1),
		http: &http.Server{
			Handler:           handler,
			ReadHeaderTimeout: readHeaderTimeout,
			ReadTimeout:       readTimeout,
			WriteTimeout:      writeTimeout,
			IdleTimeout:       idleTimeout,
			MaxHeaderBytes:    maxHeaderBytes,
			ConnState:         open.changed,
			ErrorLog:          zap.NewStdLog(log),
		},
	}
}

// start returns once the server listens. Later errors come on failed.
func (s *server) start(ctx context.Context, address string) error {
	var err error
	if s.listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", address); err != nil {
		return fmt.Errorf("listening on %q: %w", address, err)
	}
	go func() {
		if err := s.http.Serve(&bounded{s.listener, s.connections}); !errors.Is(err, http.ErrServerClosed) {
			s.failed <- fmt.Errorf("serving on %q: %w", address, err)
		}
	}()
	return nil
}

func (s *server) addr() string { return s.listener.Addr().String() }

// drain keeps serving for a while but closes connections after each answer, so that clients
// reconnect to another replica. Then it waits for running requests.
func (s *server) drain(ctx context.Context, delay time.Duration) error {
	s.http.SetKeepAlivesEnabled(false)
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := s.http.Shutdown(ctx); err != nil {
		return fmt.Errorf("waiting for running requests: %w", err)
	}
	return nil
}

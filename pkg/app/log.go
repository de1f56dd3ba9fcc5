package app

import (
	"fmt"

	"github.com/go-logr/zapr"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"k8s.io/klog/v2"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
)

// newLogger returns a logger of JSON lines to standard error, and sends what the
// Kubernetes libraries log the same way.
func newLogger(level string) (*zap.Logger, error) {
	parsed, err := zapcore.ParseLevel(level)
	if err != nil {
		return nil, fmt.Errorf("log-level %q: %w", level, err)
	}
	config := zap.NewProductionConfig()
	config.Level = zap.NewAtomicLevelAt(parsed)
	config.EncoderConfig.TimeKey = "time"
	config.EncoderConfig.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	// Sampling could drop the only line about a push.
	config.Sampling = nil
	config.DisableStacktrace = true
	log, err := config.Build()
	if err != nil {
		return nil, fmt.Errorf("making the logger: %w", err)
	}
	libraries := zapr.NewLogger(log.WithOptions(zap.IncreaseLevel(max(parsed, zap.WarnLevel))))
	klog.SetLogger(libraries)
	ctrllog.SetLogger(libraries)
	return log, nil
}

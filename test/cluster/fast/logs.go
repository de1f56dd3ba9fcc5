package fast

import (
	"flag"
	"fmt"
	"io"
	"sync"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"k8s.io/klog/v2"
)

// kept is how much of the newest output is remembered for a failure.
const kept = 64 << 10

// tail keeps the newest output and passes it on, if there is somewhere to pass it to.
type tail struct {
	mu     sync.Mutex
	data   []byte
	passOn io.Writer
}

// Write never fails: losing a log line is no reason to stop a server.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.data = append(t.data, p...)
	if over := len(t.data) - kept; over > 0 {
		t.data = append([]byte(nil), t.data[over:]...)
	}
	if t.passOn != nil {
		_, _ = t.passOn.Write(p)
	}
	return len(p), nil
}

// explain adds the newest output to an error.
func (t *tail) explain(err error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return fmt.Errorf("%w; the newest output of etcd and the API server:\n%s", err, t.data)
}

// redirect sends the output of klog, which is the process's, to t.
func redirect(t *tail) error {
	flags := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(flags)
	for name, value := range map[string]string{
		"logtostderr": "false", "alsologtostderr": "false", "stderrthreshold": "FATAL", "one_output": "true",
	} {
		if err := flags.Set(name, value); err != nil {
			return fmt.Errorf("setting klog's %s: %w", name, err)
		}
	}
	klog.SetOutput(t)
	return nil
}

// zapTo makes the kind of logger that etcd wants.
func zapTo(t *tail) *zap.Logger {
	encoder := zapcore.NewConsoleEncoder(zap.NewProductionEncoderConfig())
	return zap.New(zapcore.NewCore(encoder, zapcore.AddSync(t), zapcore.WarnLevel))
}

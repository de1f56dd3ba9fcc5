package integration

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/kube"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"github.com/revet-dev/revet/pkg/ledger"
	ipush "github.com/revet-dev/revet/pkg/push"
)

func rss(t *testing.T, pid int) string {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	out := ""
	for s.Scan() {
		if strings.HasPrefix(s.Text(), "VmRSS") || strings.HasPrefix(s.Text(), "VmHWM") || strings.HasPrefix(s.Text(), "RssAnon") {
			out += s.Text() + "; "
		}
	}
	return out
}

func TestZZMemory(t *testing.T) {
	start := func(label string) {
		cmd := exec.Command("/tmp/h5-receiver", "--kubeconfig", shared.Kubeconfig(), "--address", "127.0.0.1:18080", "--metrics-address", "127.0.0.1:19090", "--drain-delay", "0s")
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "ready", func() error {
			r, err := http.Get("http://127.0.0.1:18080/readyz")
			if err != nil {
				return err
			}
			r.Body.Close()
			if r.StatusCode != 200 {
				return fmt.Errorf("%d", r.StatusCode)
			}
			return nil
		})
		for _, d := range []time.Duration{time.Second, 5 * time.Second, 20 * time.Second} {
			time.Sleep(d)
			t.Log(label, d, rss(t, cmd.Process.Pid))
		}
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
	}
	namespace := newNamespace(t)
	scheme, _ := kube.NewScheme()
	cfg := account(t, systemNamespace, "receiver")
	cfg.QPS = -1
	cl, err := client.New(cfg, client.Options{Scheme: scheme, Mapper: admin(t).RESTMapper()})
	if err != nil {
		t.Fatal(err)
	}
	l := ledger.New(cl, ledger.NewIndex(time.Now))
	itr := &v1alpha1.ImageTrigger{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "vet", UID: "f3f8ac38-28b3-4b14-a7fd-0123456789ab"}}
	pull, _ := image.ParseRepository("image-registry.openshift-image-registry.svc:5000/x/y")
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for n := w; n < 10000; n += 8 {
				d, _ := image.ParseDigest(fmt.Sprintf("sha256:%064x", n*7919+1))
				r, err := l.Record(t.Context(), itr, ipush.Push{Repository: ipush.Repository{Kind: ipush.ImageStream, Name: fmt.Sprintf("team-%d/application-%d", n%50, n), UID: fmt.Sprintf("f3f8ac38-28b3-4b14-a7fd-%012d", n)}, Tag: "prod", Digest: d, PushedAt: time.Now(), Pull: pull}, v1alpha1.SourceEvent, time.Now())
				if err != nil {
					t.Error(err)
					return
				}
				now := metav1.NowMicro()
				_, err = l.UpdateStatus(t.Context(), r.Entry, func(s *v1alpha1.ImageVerificationStatus) {
					s.Phase = v1alpha1.PhasePassed
					s.Runs = []v1alpha1.RunStatus{{Number: 1, Name: r.Entry.Name, RequestedAt: now, Outcome: "pass", Summary: strings.Repeat("x", 500)}}
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	start("10000")
}

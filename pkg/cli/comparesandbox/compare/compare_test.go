package compare_test

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/cli/comparesandbox/compare"
)

var update = flag.Bool("update", false, "write the golden files")

func value(v float64) *float64 { return &v }

// pod is one of a class whose everything is so many times the other's.
func pod(name string, times float64) compare.Pod {
	return compare.Pod{Name: name, Figures: compare.Figures{
		SetUpSeconds: value(times), PullSeconds: value(0), StepsSeconds: value(2 * times), CPUSeconds: value(0.5 * times),
		PeakMemoryBytes: value(30 << 20 * times), DiskReadBytes: value(0),
		ReceivedBytes: value(1536), SentBytes: value(700),
	}}
}

func run(number int, state compare.State, times float64) compare.Run {
	r := compare.Run{
		Number: number, State: state, Name: fmt.Sprintf("compare-x7k2q9-%d", number), Verdict: "pass",
		WholeSeconds: 8 * times,
		Pods:         []compare.Pod{pod("scan-image", times), pod("join-verdict", times/2)},
	}
	r.Sum()
	return r
}

// report has two classes with three warm runs and a cold one each.
func report() *compare.Report {
	r := &compare.Report{
		Image: "registry.example.com/demo/app@sha256:" + strings.Repeat("1b", 32), Trigger: "demo/app",
		Node: compare.Node{
			Name: "node-1", CPUs: 2, MemoryBytes: 24 << 30, KernelVersion: "6.1.0", ContainerRuntime: "containerd://1.6.20", CgroupVersion: 1,
		},
		Began: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC),
		Classes: []compare.Class{
			{Name: "kata", Handler: "runsc", Overhead: map[string]string{"cpu": "250m", "memory": "160Mi"}, Runs: []compare.Run{
				run(1, compare.Warm, 2), run(2, compare.Warm, 3), run(3, compare.Warm, 2.5), run(4, compare.Cold, 4),
			}},
			{Name: "default", Runs: []compare.Run{
				run(1, compare.Warm, 1), run(2, compare.Warm, 1), run(3, compare.Warm, 1.1), run(4, compare.Cold, 2),
			}},
		},
		Notes: []string{"A note that <somebody> has to read."},
	}
	r.Summarise()
	return r
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got); after a wanted change, run go test ./pkg/compare -update:\n%s", file, diff)
	}
}

// A run is the sum of its Pods, but for the set-up, which is their mean, and the
// peak, which is the largest; and what one Pod lacks the run lacks.
func TestRunsAreTheirPodsTogether(t *testing.T) {
	got := run(1, compare.Warm, 2)
	want := got
	want.SetUpSeconds, want.StepsSeconds, want.CPUSeconds = value(1.5), value(6), value(1.5)
	want.PullSeconds = value(0)
	want.PeakMemoryBytes = value(60 << 20)
	want.DiskReadBytes, want.DiskWrittenBytes = value(0), nil
	want.ReceivedBytes, want.SentBytes = value(3072), value(1400)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("run (-want +got):\n%s", diff)
	}
	got.Pods[1].CPUSeconds = nil
	got.Sum()
	if got.CPUSeconds != nil {
		t.Errorf("CPU of a run whose Pod has none told: %v", *got.CPUSeconds)
	}
	var none compare.Run
	none.Sum()
	if none.SetUpSeconds != nil {
		t.Errorf("set-up of a run without Pods: %v", *none.SetUpSeconds)
	}
}

func TestSummaries(t *testing.T) {
	r := report()
	for _, test := range []struct {
		class   int
		state   compare.State
		measure string
		want    compare.Spread
	}{
		{0, compare.Warm, "wholeSeconds", compare.Spread{Median: 20, Least: 16, Most: 24}},
		{1, compare.Warm, "cpuSeconds", compare.Spread{Median: 0.75, Least: 0.75, Most: 0.8250000000000001}},
		{1, compare.Cold, "wholeSeconds", compare.Spread{Median: 16, Least: 16, Most: 16}},
	} {
		if got := r.Classes[test.class].Summary[test.state][test.measure]; got != test.want {
			t.Errorf("%s of class %d, %s: %+v, want %+v", test.measure, test.class, test.state, got, test.want)
		}
	}
	if _, known := r.Classes[0].Summary[compare.Warm]["diskWrittenBytes"]; known {
		t.Error("something is summarised that no run has")
	}
	r.Classes[0].Runs[2].CPUSeconds = nil
	r.Summarise()
	if _, known := r.Classes[0].Summary[compare.Warm]["cpuSeconds"]; known {
		t.Error("something is summarised that one run lacks")
	}
	r.Classes[1].Runs = r.Classes[1].Runs[:2]
	r.Classes[1].Runs[1].WholeSeconds = 12
	r.Summarise()
	if got := r.Classes[1].Summary[compare.Warm]["wholeSeconds"].Median; got != 10 {
		t.Errorf("median of 8 and 12 is %v", got)
	}
}

func TestTable(t *testing.T) {
	var b strings.Builder
	if err := report().WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, "table.txt", b.String())
}

// The figure is a document, whatever names are in it, and has a dot for each run in
// each panel that has figures.
func TestFigure(t *testing.T) {
	r := report()
	r.Image = `registry.example.com/<script>alert("x")</script>&`
	var b strings.Builder
	if err := r.WriteSVG(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, "figure.svg", b.String())
	elements := map[string]int{}
	d := xml.NewDecoder(strings.NewReader(b.String()))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok {
			elements[e.Name.Local]++
		}
	}
	// 9 of the 10 measures are known; 2 classes have 4 runs each, and a key each.
	if want := 9*2*4 + 2; elements["circle"] != want {
		t.Errorf("%d circles, want %d", elements["circle"], want)
	}
	if elements["script"] != 0 || elements["g"] != 9 {
		t.Errorf("elements: %v", elements)
	}
}

// A report can be read again by a program.
func TestJSON(t *testing.T) {
	want := report()
	content, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got compare.Report
	if err := json.Unmarshal(content, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, &got); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	if strings.Contains(string(content), "diskWrittenBytes") {
		t.Error("what is not known is written")
	}
}

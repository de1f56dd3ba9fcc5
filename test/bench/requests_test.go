//go:build linux && bench

package bench

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"k8s.io/client-go/kubernetes"
)

// requests are the requests that the API server answered, by verb and resource.
type requests map[string]answered

type answered struct {
	count   uint64
	seconds float64
}

// requests reads the API server's own metrics.
func (e *bed) requests(b *testing.B) requests {
	b.Helper()
	client, err := kubernetes.NewForConfig(e.cluster.RESTConfig())
	if err != nil {
		b.Fatal(err)
	}
	body, err := client.RESTClient().Get().AbsPath("/metrics").DoRaw(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	all := requests{}
	for _, m := range families["apiserver_request_duration_seconds"].GetMetric() {
		labels := map[string]string{}
		for _, l := range m.GetLabel() {
			labels[l.GetName()] = l.GetValue()
		}
		resource := labels["resource"]
		if labels["subresource"] != "" {
			resource += "/" + labels["subresource"]
		}
		switch labels["verb"] {
		case "WATCH", "LIST", "CONNECT":
			continue
		}
		a := all[labels["verb"]+" "+resource]
		a.count += m.GetHistogram().GetSampleCount()
		a.seconds += m.GetHistogram().GetSampleSum()
		all[labels["verb"]+" "+resource] = a
	}
	return all
}

// since lists what was answered after before, for each of so many pairs of pushes, with the mean time in the API server.
func (r requests) since(before requests, pairs int) string {
	var lines []string
	for what, now := range r {
		count := now.count - before[what].count
		if float64(count) < float64(pairs)/2 {
			continue // leases, sweeps and the like
		}
		lines = append(lines, fmt.Sprintf("%6.2f  %6.2f ms  %s", float64(count)/float64(pairs), 1000*(now.seconds-before[what].seconds)/float64(count), what))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

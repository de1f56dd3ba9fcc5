package rig

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// Requests are the requests that an API server answered, by verb and resource, such as
// "PUT verifiedimages". Watches, lists and what is carried over to a node are left out.
type Requests map[string]Answered

// Answered counts requests, with the time that they took in the API server.
type Answered struct {
	Count   uint64
	Seconds float64
}

// ReadRequests reads the API server's own metrics.
func ReadRequests(ctx context.Context, config *rest.Config) (Requests, error) {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	body, err := client.RESTClient().Get().AbsPath("/metrics").DoRaw(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the API server's metrics: %w", err)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("reading the API server's metrics: %w", err)
	}
	all := Requests{}
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
		a.Count += m.GetHistogram().GetSampleCount()
		a.Seconds += m.GetHistogram().GetSampleSum()
		all[labels["verb"]+" "+resource] = a
	}
	return all, nil
}

// Since lists what was answered after before, for each of so many cases, with the mean time in the API server.
func (r Requests) Since(before Requests, cases int) string {
	var lines []string
	for what, now := range r {
		count := now.Count - before[what].Count
		if float64(count) < float64(cases)/2 {
			continue // leases, sweeps and the like
		}
		lines = append(lines, fmt.Sprintf("%6.2f  %6.2f ms  %s", float64(count)/float64(cases), 1000*(now.Seconds-before[what].Seconds)/float64(count), what))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

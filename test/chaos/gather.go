//go:build linux

package chaos

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	imagev1 "github.com/openshift/api/image/v1"
	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

const gatherTimeout = 60 * time.Second

// gather reads what the API server shows, and what the registry does, which takes a request for each tag.
func (w *env) gather(ctx context.Context, registry bool) (observed, error) {
	ctx, cancel := context.WithTimeout(ctx, gatherTimeout)
	defer cancel()
	o := observed{Pushed: w.pusher.acknowledged(), Heads: map[string]string{}, RegistryHeads: map[string]string{}}
	if err := w.streams(ctx, &o, registry); err != nil {
		return o, err
	}
	o.Odd = w.oddHeads(o.Pushed)
	var entries v1alpha1.ImageVerificationList
	if err := w.admin.List(ctx, &entries, client.InNamespace(vetting)); err != nil {
		return o, err
	}
	for i := range entries.Items {
		if e := entryOf(&entries.Items[i]); !isProbe(e.Repository) {
			o.Entries = append(o.Entries, e)
		}
	}
	runs, err := w.runs(ctx, vetting)
	if err != nil {
		return o, err
	}
	for _, r := range runs {
		if !isProbe(r.Repository) {
			o.Runs = append(o.Runs, r)
		}
	}
	runs, err = w.runs(ctx, plainNamespace)
	for _, r := range runs {
		if !isProbe(r.Repository) {
			o.PlainRuns = append(o.PlainRuns, r)
		}
	}
	return o, err
}

func isProbe(repository string) bool { return strings.HasSuffix(repository, "/"+probeStream) }

// streams reads what the streams show.
func (w *env) streams(ctx context.Context, o *observed, askRegistry bool) error {
	var streams imagev1.ImageStreamList
	if err := w.admin.List(ctx, &streams); err != nil {
		return err
	}
	registry, err := name.NewRegistry(w.registry, name.Insecure)
	if err != nil {
		return err
	}
	for _, s := range streams.Items {
		repository := s.Namespace + "/" + s.Name
		if isProbe(repository) || s.Namespace == tenantNamespace {
			continue
		}
		for _, t := range s.Status.Tags {
			for i, item := range t.Items {
				o.Items = append(o.Items, acknowledged{repository, t.Tag, item.Image})
				if i == 0 {
					o.Heads[repository+":"+t.Tag] = item.Image
				}
			}
			if !askRegistry || w.pusher.direct { // then the registry knows nothing
				continue
			}
			head, err := remote.Head(registry.Repo(repository).Tag(t.Tag), remote.WithContext(ctx))
			if err != nil {
				return fmt.Errorf("asking the registry for %s:%s: %w", repository, t.Tag, err)
			}
			o.RegistryHeads[repository+":"+t.Tag] = head.Digest.String()
		}
	}
	return nil
}

func entryOf(e *v1alpha1.ImageVerification) entry {
	s := e.Status
	out := entry{Name: e.Name, Repository: e.Spec.Repository.Name, Digest: e.Spec.Digest, State: string(s.Phase) + "/" + s.Reason}
	switch s.Phase {
	case v1alpha1.PhasePassed, v1alpha1.PhaseFailed, v1alpha1.PhaseError, v1alpha1.PhaseSkipped:
		out.Final = true
	case v1alpha1.PhasePending, v1alpha1.PhaseRequested, v1alpha1.PhaseRunning:
	}
	for _, r := range s.Runs {
		if r.Cause.Type == v1alpha1.CauseRetry || r.Cause.Type == v1alpha1.CauseVanished {
			out.Repeats++
		}
	}
	for _, t := range s.Tags {
		if t.Source == v1alpha1.SourceSweep {
			out.Swept++
		}
	}
	return out
}

// runs reads the PipelineRuns of a namespace. What they are for is in their own parameters.
func (w *env) runs(ctx context.Context, namespace string) ([]pipelineRun, error) {
	var list pipelinev1.PipelineRunList
	if err := w.admin.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		return nil, err
	}
	var all []pipelineRun
	for _, r := range list.Items {
		run := pipelineRun{Name: r.Name, Digest: r.Annotations[v1alpha1.DigestAnnotation], Finished: r.Status.CompletionTime != nil}
		for _, p := range r.Spec.Params {
			if p.Name == "reference" {
				host, path, _ := strings.Cut(p.Value.StringVal, "/")
				run.Repository, _, _ = strings.Cut(path, "@")
				if w.odd != "" && host == w.odd {
					run.Repository = host + "/" + run.Repository // as the entry names it
				}
			}
		}
		all = append(all, run)
	}
	return all, nil
}

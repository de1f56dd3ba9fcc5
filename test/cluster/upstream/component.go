package upstream

import (
	"fmt"
	"strings"
)

// Profile says how much is installed.
type Profile string

const (
	// Minimal is ApiServerSource, Tekton Pipelines and Tekton Triggers.
	Minimal Profile = "minimal"
	// Full adds the multi-tenant channel-based Broker and the in-memory channel.
	Full Profile = "full"
)

const (
	eventingModule  = "knative.dev/eventing"
	pipelinesModule = "github.com/tektoncd/pipeline"
	triggersModule  = "github.com/tektoncd/triggers"

	eventingNamespace = "knative-eventing"
	tektonNamespace   = "tekton-pipelines"
)

// component is a part of an upstream project that is built and cached as one.
type component struct {
	name   string
	module string
	// files are patterns (path.Match) of YAML files below the module's config folder.
	files []string
	// images are the commands that the YAML names as ko:// references.
	images []string
	// empty are image references that become an image with nothing in it, since no container of them is ever started.
	empty []string
}

// components returns what the profile consists of, in the order in which it is built.
func components(p Profile) ([]component, error) {
	minimal := []component{eventing(), pipelines(), triggers()}
	switch p {
	case Minimal:
		return minimal, nil
	case Full:
		return append(minimal, broker()), nil
	default:
		return nil, fmt.Errorf("upstream: profile %q is unknown: use %q or %q", p, Minimal, Full)
	}
}

func eventing() component {
	return component{
		name:   "eventing",
		module: eventingModule,
		files: []string{
			"core/*.yaml", "core/roles/*.yaml", "core/configmaps/*.yaml", "core/resources/*.yaml", "core/webhooks/*.yaml",
			"core/deployments/controller.yaml", "core/deployments/webhook.yaml",
		},
		images: []string{
			"knative.dev/eventing/cmd/controller",
			"knative.dev/eventing/cmd/webhook",
			"knative.dev/eventing/cmd/apiserver_receive_adapter",
		},
		// The proxy stands before EventTransforms and IntegrationSinks where OIDC is on.
		empty: []string{"ko://knative.dev/eventing/cmd/auth_proxy"},
	}
}

func broker() component {
	return component{
		name:   "broker",
		module: eventingModule,
		files: []string{
			"brokers/mt-channel-broker/roles/*.yaml", "brokers/mt-channel-broker/deployments/*.yaml",
			"channels/in-memory-channel/*.yaml", "channels/in-memory-channel/*/*.yaml",
		},
		images: []string{
			"knative.dev/eventing/cmd/mtchannel_broker",
			"knative.dev/eventing/cmd/broker/ingress",
			"knative.dev/eventing/cmd/broker/filter",
			"knative.dev/eventing/cmd/in_memory/channel_controller",
			"knative.dev/eventing/cmd/in_memory/channel_dispatcher",
		},
	}
}

func pipelines() component {
	return component{
		name:   "pipelines",
		module: pipelinesModule,
		files: []string{
			"100-namespace/*.yaml", "2*.yaml", "300-crds/*.yaml", "500-webhooks.yaml", "clusterrole-*.yaml", "config-*.yaml",
			"controller.yaml", "webhook.yaml",
		},
		images: []string{
			"github.com/tektoncd/pipeline/cmd/controller",
			"github.com/tektoncd/pipeline/cmd/webhook",
			"github.com/tektoncd/pipeline/cmd/entrypoint",
			"github.com/tektoncd/pipeline/cmd/nop",
			"github.com/tektoncd/pipeline/cmd/sidecarlogresults",
			"github.com/tektoncd/pipeline/cmd/workingdirinit",
		},
		// The shells that place scripts, on Linux and on Windows.
		empty: []string{"cgr.dev/chainguard/busybox", "mcr.microsoft.com/powershell"},
	}
}

func triggers() component {
	return component{
		name:   "triggers",
		module: triggersModule,
		files:  []string{"*.yaml", "interceptors/*.yaml"},
		images: []string{
			"github.com/tektoncd/triggers/cmd/controller",
			"github.com/tektoncd/triggers/cmd/webhook",
			"github.com/tektoncd/triggers/cmd/interceptors",
			"github.com/tektoncd/triggers/cmd/eventlistenersink",
		},
	}
}

// isEmpty tells whether the image reference is one of c.empty, whatever its tag and digest.
func (c component) isEmpty(reference string) bool {
	for _, e := range c.empty {
		rest, found := strings.CutPrefix(reference, e)
		if found && (rest == "" || rest[0] == ':' || rest[0] == '@') {
			return true
		}
	}
	return false
}

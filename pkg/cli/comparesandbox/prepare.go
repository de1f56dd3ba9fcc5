package comparesandbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/cli/command"
	"github.com/revet-dev/revet/pkg/cli/comparesandbox/compare"
	"github.com/revet-dev/revet/pkg/tekton"
)

// comparison is one comparison under way.
type comparison struct {
	*compareOptions

	env command.Environment
	cl  command.Cluster
	// id tells the objects of this comparison from those of others.
	id string

	entry   *v1alpha1.ImageVerification
	trigger *v1alpha1.ImageTrigger
	classes []comparedClass
	node    *corev1.Node
	// params are what runs are given beside what the trigger's template gives them.
	params map[string]string
	report compare.Report
}

// comparedClass is a class as it was asked for.
type comparedClass struct {
	name string
	// object is nil for noClass.
	object *nodev1.RuntimeClass
}

// prepare finds everything that is compared, and creates nothing.
func (c *comparison) prepare(ctx context.Context, q command.Query) error {
	steps := []func(context.Context) error{
		func(ctx context.Context) error { return c.findEntry(ctx, q) },
		c.findClasses, c.findNode, c.findParams, c.findProbe, c.tryClasses,
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	c.report.Trigger = c.trigger.Namespace + "/" + c.trigger.Name
	c.report.Began = c.env.Now().UTC()
	for _, class := range c.classes {
		reported := compare.Class{Name: class.name}
		if class.object != nil {
			reported.Handler = class.object.Handler
			if o := class.object.Overhead; o != nil {
				reported.Overhead = map[string]string{}
				for resource, quantity := range o.PodFixed {
					reported.Overhead[string(resource)] = quantity.String()
				}
			}
		}
		c.report.Classes = append(c.report.Classes, reported)
	}
	return nil
}

// findEntry finds the one image that is meant, and what verifies it.
func (c *comparison) findEntry(ctx context.Context, q command.Query) error {
	namespace := c.cluster.In(c.cl)
	all, err := c.cl.Verifications(ctx, namespace)
	if err != nil {
		return err
	}
	found, _ := q.Find(all)
	if q.Tag != "" {
		found = command.NewestOfTag(found, q.Tag)
	}
	switch {
	case len(found) == 0:
		return fmt.Errorf("there is no verification %s %s; %s", q, command.Where(namespace), command.WhatExists(all, namespace))
	case len(found) > 1:
		return command.Usagef("%d verifications match; name one, as %q of namespace %q", len(found), found[0].Name, found[0].Namespace)
	}
	c.entry = &found[0]
	key := client.ObjectKey{Namespace: c.entry.Namespace, Name: c.entry.Spec.Trigger.Name}
	if c.trigger, err = c.cl.Trigger(ctx, key); err != nil {
		return err
	}
	if c.trigger == nil {
		return fmt.Errorf("the ImageTrigger %q of verification %q is gone, so that its pipeline is not known", key.Name, c.entry.Name)
	}
	return nil
}

func (c *comparison) findClasses(ctx context.Context) error {
	names := c.compareOptions.classes
	if len(names) == 0 {
		if class := c.trigger.Spec.Sandbox.RuntimeClassName; class != "" {
			names = append(names, class)
		}
		names = append(names, noClass)
	}
	var all nodev1.RuntimeClassList
	if err := c.cl.List(ctx, &all); err != nil {
		return fmt.Errorf("listing RuntimeClasses: %w", err)
	}
	for _, name := range names {
		class := comparedClass{name: name}
		if name != noClass {
			var exist []string
			for i := range all.Items {
				exist = append(exist, all.Items[i].Name)
				if all.Items[i].Name == name {
					class.object = &all.Items[i]
				}
			}
			if class.object == nil {
				return fmt.Errorf("the cluster has no RuntimeClass %q; there are %s", name, strings.Join(append(exist, noClass), ", "))
			}
		}
		c.classes = append(c.classes, class)
	}
	return nil
}

// findNode finds a node that Pods of all classes can run on.
func (c *comparison) findNode(ctx context.Context) error {
	var all corev1.NodeList
	if err := c.cl.List(ctx, &all); err != nil {
		return fmt.Errorf("listing nodes: %w", err)
	}
	var unfit []string
	for i := range all.Items {
		n := &all.Items[i]
		if c.compareOptions.node != "" && n.Name != c.compareOptions.node {
			continue
		}
		if why := c.unfit(n); why != "" {
			unfit = append(unfit, n.Name+" "+why)
			continue
		}
		c.node = n
		break
	}
	switch {
	case c.node != nil:
	case len(unfit) > 0:
		return fmt.Errorf("no node can run Pods of all classes: %s", strings.Join(unfit, "; "))
	default:
		return fmt.Errorf("there is no node %q; see: kubectl get nodes", c.compareOptions.node)
	}
	info := c.node.Status.NodeInfo
	c.report.Node = compare.Node{
		Name: c.node.Name, KernelVersion: info.KernelVersion, ContainerRuntime: info.ContainerRuntimeVersion,
		CPUs: c.node.Status.Capacity.Cpu().Value(), MemoryBytes: c.node.Status.Capacity.Memory().Value(),
	}
	return nil
}

// unfit says what keeps Pods of the classes from a node. Taints are left to who
// names the node: whether a Pod tolerates them is decided where it is made.
func (c *comparison) unfit(n *corev1.Node) string {
	if n.Spec.Unschedulable {
		return "is cordoned"
	}
	if !slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	}) {
		return "is not ready"
	}
	if n.Labels[corev1.LabelHostname] == "" {
		return "has no label " + corev1.LabelHostname
	}
	for _, t := range n.Spec.Taints {
		if t.Effect != corev1.TaintEffectPreferNoSchedule && c.compareOptions.node == "" {
			return "has the taint " + t.ToString() + ", so name it with --node if you mean it"
		}
	}
	for _, class := range c.classes {
		if class.object == nil || class.object.Scheduling == nil {
			continue
		}
		for label, value := range class.object.Scheduling.NodeSelector {
			if n.Labels[label] != value {
				return fmt.Sprintf("lacks the label %s=%s that class %s asks for", label, value, class.name)
			}
		}
	}
	return ""
}

// findParams decides what runs are given, and whether anything may be published.
func (c *comparison) findParams(ctx context.Context) error {
	c.params = map[string]string{}
	for _, p := range c.compareOptions.params {
		name, value, _ := strings.Cut(p, "=")
		c.params[name] = value
	}
	if _, given := c.params["publish"]; given {
		return nil
	}
	run, err := c.pipelineRun(ctx, c.classes[0], 0)
	if err != nil {
		return err
	}
	if run.Spec.PipelineRef == nil || run.Spec.PipelineRef.Resolver != "" {
		return nil
	}
	var pipeline pipelinev1.Pipeline
	key := client.ObjectKey{Namespace: c.trigger.Namespace, Name: run.Spec.PipelineRef.Name}
	if err := c.cl.Get(ctx, key, &pipeline); err != nil {
		return command.ReadError(fmt.Sprintf("reading Pipeline %q", key.Name), key.Namespace, err)
	}
	for _, p := range pipeline.Spec.Params {
		if p.Name == "publish" {
			c.params["publish"] = "none"
			c.report.Notes = append(c.report.Notes, "Nothing was published beside the image (the pipeline's parameter publish is none), as each run would do so again; --param publish=referrers measures that too.")
		}
	}
	return nil
}

// findProbe finds the image of the Pods that look at the node.
func (c *comparison) findProbe(ctx context.Context) error {
	if c.probeImage != "" {
		return nil
	}
	const cure = "install this version of Revet, or give --probe-image"
	key := client.ObjectKey{Namespace: c.systemNamespace, Name: "config-probe"}
	var config corev1.ConfigMap
	if err := c.cl.Get(ctx, key, &config); err != nil {
		if apierrors.IsNotFound(err) {
			return fmt.Errorf("there is no ConfigMap %q in namespace %q, which names the image of the probe; %s", key.Name, key.Namespace, cure)
		}
		return command.ReadError(fmt.Sprintf("reading ConfigMap %q", key.Name), key.Namespace, err)
	}
	if c.probeImage = config.Data["image"]; c.probeImage == "" {
		return fmt.Errorf("the ConfigMap %q in namespace %q has no image; %s", key.Name, key.Namespace, cure)
	}
	return nil
}

// tryClasses makes a run of each class, without creating it: what a template does
// wrong is better told before the first one than after it.
func (c *comparison) tryClasses(ctx context.Context) error {
	for _, class := range c.classes {
		if _, err := c.pipelineRun(ctx, class, 0); err != nil {
			return err
		}
	}
	return nil
}

// pipelineRun is what a push of the image would start, were it to run under the
// class; but it is no run of the ledger's, and runs on the chosen node.
func (c *comparison) pipelineRun(ctx context.Context, class comparedClass, number int) (*pipelinev1.PipelineRun, error) {
	planned := v1alpha1.RunStatus{
		Name:  fmt.Sprintf("revet-compare-%s-%d", c.id, number),
		Cause: v1alpha1.Cause{Type: v1alpha1.CauseManual, Key: "compare-sandbox"},
	}
	if class.object != nil {
		planned.Sandbox.Requested = class.name
	} else {
		planned.Sandbox.Route = v1alpha1.RouteExcluded
	}
	request, err := tekton.NewRequest(c.trigger, c.entry, &planned)
	if err != nil {
		return nil, err
	}
	c.report.Image = request.Data.Image.Reference
	noHosts := func(string, string) bool { return false }
	made, err := tekton.NewChecker(c.cl.Writer, noHosts, c.systemNamespace).PipelineRun(ctx, c.trigger, request)
	if err != nil {
		return nil, err
	}
	return c.adapt(made)
}

// adapt makes of a run of the ledger's one of this comparison.
func (c *comparison) adapt(made *unstructured.Unstructured) (*pipelinev1.PipelineRun, error) {
	if made.GetAPIVersion() != pipelinev1.SchemeGroupVersion.String() {
		return nil, fmt.Errorf("the TriggerTemplate makes a PipelineRun of %s; write apiVersion: %s", made.GetAPIVersion(), pipelinev1.SchemeGroupVersion)
	}
	var run pipelinev1.PipelineRun
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(made.Object, &run); err != nil {
		return nil, fmt.Errorf("reading the PipelineRun that the TriggerTemplate makes: %w", err)
	}
	run.Namespace = c.trigger.Namespace
	delete(run.Labels, v1alpha1.RunLabel)
	delete(run.Annotations, v1alpha1.EntryUIDAnnotation)
	delete(run.Annotations, v1alpha1.DigestAnnotation)
	if run.Labels == nil {
		run.Labels = map[string]string{}
	}
	run.Labels[comparisonLabel] = c.id
	if run.Spec.TaskRunTemplate.PodTemplate == nil {
		return nil, errors.New("the TriggerTemplate makes a PipelineRun without spec.taskRunTemplate.podTemplate")
	}
	pod := run.Spec.TaskRunTemplate.PodTemplate
	if pod.NodeSelector == nil {
		pod.NodeSelector = map[string]string{}
	}
	pod.NodeSelector[corev1.LabelHostname] = c.node.Labels[corev1.LabelHostname]
	for name, value := range c.params {
		set := pipelinev1.Param{Name: name, Value: *pipelinev1.NewStructuredValues(value)}
		if i := slices.IndexFunc(run.Spec.Params, func(p pipelinev1.Param) bool { return p.Name == name }); i >= 0 {
			run.Spec.Params[i] = set
		} else {
			run.Spec.Params = append(run.Spec.Params, set)
		}
	}
	slices.SortFunc(run.Spec.Params, func(a, b pipelinev1.Param) int { return cmp.Compare(a.Name, b.Name) })
	return &run, nil
}

// comparisonLabel is on every object that a comparison makes.
const comparisonLabel = "revet.dev/comparison"

// everything bounds how long what looks at the node may live, if nobody ends it.
func (c *comparison) everything() time.Duration {
	states := 1
	if c.cold {
		states = 2
	}
	return time.Duration(len(c.classes)*(states*c.runs+1))*(c.timeout+time.Minute) + 10*time.Minute
}

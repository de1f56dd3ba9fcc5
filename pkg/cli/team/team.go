package team

import (
	"context"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/revet-dev/revet/pkg/cli/command"
	"github.com/revet-dev/revet/triggers"
)

// suffix makes the name of a verification namespace of a team's.
const suffix = "-verification"

// The most namespaces and repositories of a team. Every namespace has objects of its own,
// and an ImageTrigger selects by 32 entries.
const maxNamespaces, maxRepositories = 100, 31

type options struct {
	cluster      *command.ClusterFlags
	namespaces   []string
	repositories []string
	groups       []string
	class        string
	from         string
	ko           bool
	apart        bool
	storageClass string
	fsGroup      bool
	noSource     bool
	offline      bool
}

// New returns the command team.
func New(env command.Environment) *cobra.Command {
	o := &options{cluster: command.NewClusterFlags()}
	c := &cobra.Command{
		Use:   "team NAME",
		Short: "Print what verifies a team's images where the team cannot change how",
		Long: `Print the manifests of a verification namespace for a team.

Whoever may edit the namespace in which verification runs can change the pipeline and
its policy, and so make verdicts. With several teams on a cluster, give each of them a
namespace NAME` + suffix + `, which the team views and does not edit. The manifests are:

  - that namespace, with the pipeline of Revet in it
  - an ImageTrigger "` + triggerName + `" there, which selects the ImageStreams of exactly the
    namespaces given, and a source that sends their changes to Revet
  - in each of these namespaces, the rights to see ImageStreams and to pull, for the
    accounts of the verification namespace
  - the right to view the verification namespace, for the groups given

The command changes nothing. Review what it prints, keep it in Git, and apply it as a
cluster administrator. Without --offline it looks whether the namespaces exist, and
whether another team has one of them.

With --storage-class, reports are published from a Pod and with an account of its own
(` + publishAccount + `), so that the Pod that looks into images holds no
credentials that push. Give that account the credentials. Each run then has a volume of
1 GiB for some minutes.

The images of the pipeline have to be built. Either pipe the output into ko, in a
checkout of Revet (--ko), or give the pipeline with its images (--from).`,
		Example: `  # In a checkout of Revet: ko builds the pipeline's images
  kubectl revet team shop --namespaces shop,shop-api --group shop-developers --ko | ko apply -f -

  # A team that pushes to a registry without ImageStreams
  ko resolve -f triggers/ | kubectl revet team shop --repository 'registry.example.com/shop/**' \
    --group shop-developers --from - > shop.yaml

  # With images that were built before, without ko
  ko resolve -f triggers/ > pipeline.yaml
  kubectl revet team shop --namespaces shop,shop-api --group shop-developers --from pipeline.yaml > shop.yaml
  kubectl apply -f shop.yaml

  # With reports that are published from a Pod of its own
  kubectl revet team shop --namespaces shop --group shop-developers --ko --storage-class fast | ko apply -f -`,
		Args: command.ExactlyOne("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			o.apart = c.Flags().Changed(storageClassFlag)
			return o.run(c.Context(), env, args[0])
		},
	}
	o.cluster.Config.AddFlags(c.Flags())
	c.Flags().StringSliceVar(&o.namespaces, "namespaces", nil, "the team's namespaces, whose ImageStreams are verified")
	c.Flags().StringSliceVar(&o.repositories, "repository", nil, "a pattern of repositories of the team's in a registry without ImageStreams")
	c.Flags().StringSliceVar(&o.groups, "group", nil, "a group that may view the verification namespace")
	c.Flags().StringVar(&o.class, "runtime-class", "kata", `the RuntimeClass of the runs' Pods; "" for none`)
	c.Flags().StringVar(&o.from, "from", "", "a file with the manifests of the pipeline, as 'ko resolve -f triggers/' prints them; - is standard input")
	c.Flags().BoolVar(&o.ko, "ko", false, "print images as ko:// references, for 'ko apply -f -' in a checkout of Revet")
	c.Flags().StringVar(&o.storageClass, storageClassFlag, "", `publish reports from a Pod of its own, with volumes of this StorageClass; "" for the cluster's default`)
	c.Flags().BoolVar(&o.fsGroup, "fs-group", false, "with --storage-class, for volumes that belong to root: give the runs' Pods a group; not on OpenShift, which gives one")
	c.Flags().BoolVar(&o.noSource, "no-source", false, "print no ApiServerSource, for clusters without Knative Eventing: a sweep sees pushes within ten minutes")
	c.Flags().BoolVar(&o.offline, "offline", false, "do not look whether the namespaces exist, and whose they are")
	return c
}

func (o *options) run(ctx context.Context, env command.Environment, name string) error {
	if err := o.validate(name); err != nil {
		return err
	}
	pipeline, err := o.pipeline(env.Streams.In)
	if err != nil {
		return err
	}
	if !o.offline {
		cl, err := env.Connect(o.cluster)
		if err != nil {
			return fmt.Errorf("%w; --offline prints without looking whose the namespaces are", err)
		}
		if err := look(ctx, cl, name, o.namespaces); err != nil {
			return err
		}
	}
	manifests, err := o.manifests(name, pipeline)
	if err != nil {
		return err
	}
	_, err = io.WriteString(env.Streams.Out, manifests)
	return err
}

// validate reports what is wrong with the command line, and sorts the namespaces, so that
// the same team gives the same manifests.
func (o *options) validate(name string) error {
	own := name + suffix
	if len(validation.IsDNS1123Label(own)) > 0 {
		return command.Usagef("%q is no name of a team: %s names a namespace, so use lower case letters, digits and dashes, %d at most",
			name, own, validation.DNS1123LabelMaxLength-len(suffix))
	}
	if len(o.namespaces)+len(o.repositories) == 0 {
		return command.Usagef("name what the team pushes to: --namespaces NAMESPACE,... for ImageStreams, --repository PATTERN for a registry without them")
	}
	if len(o.repositories) > maxRepositories {
		return command.Usagef("a team has at most %d patterns of repositories, not %d", maxRepositories, len(o.repositories))
	}
	for _, repository := range o.repositories {
		if !repositoryPattern.MatchString(repository) {
			return command.Usagef("--repository %q is not host/path, as registry.example.com/shop/**", repository)
		}
	}
	if len(o.namespaces) > maxNamespaces {
		return command.Usagef("a team has at most %d namespaces, not %d; make several of it", maxNamespaces, len(o.namespaces))
	}
	slices.Sort(o.namespaces)
	for i, namespace := range o.namespaces {
		switch {
		case len(validation.IsDNS1123Label(namespace)) > 0:
			return command.Usagef("%q in --namespaces is no name of a namespace", namespace)
		case namespace == own:
			return command.Usagef("--namespaces has %s itself: it is where the team's images are verified, and the team cannot push there", own)
		case i > 0 && namespace == o.namespaces[i-1]:
			return command.Usagef("--namespaces has %s twice", namespace)
		}
	}
	for _, group := range o.groups {
		if group == "" || strings.HasPrefix(group, "system:") {
			return command.Usagef("--group %q is no group of a team's; name one that only its members are in", group)
		}
	}
	if o.class != "" && len(validation.IsDNS1123Subdomain(o.class)) > 0 {
		return command.Usagef("--runtime-class %q is no name of a RuntimeClass", o.class)
	}
	if o.storageClass != "" && len(validation.IsDNS1123Subdomain(o.storageClass)) > 0 {
		return command.Usagef("--storage-class %q is no name of a StorageClass", o.storageClass)
	}
	if o.fsGroup && !o.apart {
		return command.Usagef("--fs-group is for the volumes of --storage-class; give both, or neither")
	}
	if o.ko && o.from != "" {
		return command.Usagef("give either --ko or --from, not both")
	}
	return nil
}

// repositoryPattern is that of spec.images[].repository of an ImageTrigger.
var repositoryPattern = regexp.MustCompile(`^[A-Za-z0-9.-]+(:[0-9]+)?(/[a-z0-9._*?-]+)+$`)

// koReference begins an image that ko has not built.
const koReference = "ko://"

// pipeline returns the manifests of the pipeline, and an error if its images cannot be pulled.
func (o *options) pipeline(in io.Reader) (string, error) {
	content, err := o.read(in)
	if err != nil {
		return "", err
	}
	if content, err = o.form(content); err != nil {
		return "", err
	}
	text := string(content)
	switch {
	case o.ko || !strings.Contains(text, koReference):
		return text, nil
	case o.from == "":
		return "", command.Usagef("the images of the pipeline are not built yet: in a checkout of Revet, add --ko and pipe the output into 'ko apply -f -'; " +
			"elsewhere, give --from FILE with what 'ko resolve -f triggers/' prints")
	default:
		return "", fmt.Errorf("%s has images that begin with %s, which no cluster can pull; make it with: ko resolve -f triggers/ > %[1]s", o.from, koReference)
	}
}

func (o *options) read(in io.Reader) ([]byte, error) {
	switch o.from {
	case "":
		return triggers.Manifests()
	case "-":
		return io.ReadAll(in)
	default:
		return os.ReadFile(o.from)
	}
}

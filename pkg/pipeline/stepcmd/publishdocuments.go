package stepcmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/documents"
	"github.com/revet-dev/revet/pkg/pipeline/fetch"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
	"github.com/revet-dev/revet/pkg/pipeline/publish"
	"github.com/revet-dev/revet/pkg/pipeline/result"
	"github.com/revet-dev/revet/pkg/pipeline/taskresult"
	"github.com/revet-dev/revet/pkg/pipeline/verdict"
	"github.com/revet-dev/revet/pkg/runresult"
)

// PublishDocuments pushes what the step publish of another Pod handed on. It holds credentials that
// no parser of image content may see, so it takes the content of the volume for bytes.
type PublishDocuments struct {
	Registry
	// Documents is the directory that the step publish wrote to.
	Documents string
	// Outcome is the result of that step.
	Outcome string
	Mode    string
}

// NewPublishDocuments returns the command line of the step.
func NewPublishDocuments(results *string) *cobra.Command {
	var o PublishDocuments
	cmd := &cobra.Command{
		Use:   "publish-documents --reference HOST/REPOSITORY@sha256:... --documents DIR --outcome OUTCOME",
		Short: "Push the documents that another Pod handed on beside the image",
		Long: `Pushes the documents that the step publish wrote with --documents. OUTCOME is the
result of that step, which names the digest of their list. Writes the result
published, which the step verdict joins with OUTCOME.

A document that is missing, or is another one than OUTCOME leads to, is an error.
With --publish referrers, a failed push is none: the result says why there is no
report. The credentials must allow pushing to the image's repository.`,
		Example: `  step publish-documents --reference registry.example.com/team/app@sha256:4f1c... --documents /workspace/documents --outcome "$SCAN"`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.Run(cmd.Context(), cmd.OutOrStdout(), *results)
		},
	}
	f := cmd.Flags()
	o.flags(f, 5*time.Minute)
	f.StringVar(&o.Documents, "documents", "", "directory that the step publish wrote to")
	f.StringVar(&o.Outcome, "outcome", "", "result of the step publish")
	modeFlag(f, &o.Mode)
	return Require(cmd, "reference", "documents", "outcome")
}

// Run does the work of the step.
func (o PublishDocuments) Run(ctx context.Context, out io.Writer, results string) error {
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	if err := checkMode(o.Mode); err != nil {
		return err
	}
	ref, options, err := o.open()
	if err != nil {
		return err
	}
	outcome, err := taskresult.Decode(o.Outcome)
	if err != nil {
		return err
	}
	folder, err := o.read(ref, outcome)
	if err != nil {
		return err
	}
	published := taskresult.Published{Digest: outcome.Digest, Documents: outcome.Documents}
	if !outcome.Documents.IsZero() {
		if published, err = o.publish(ctx, out, ref, options, folder, published); err != nil {
			return err
		}
	}
	text, err := published.Encode()
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "published:", text)
	if results == "" {
		return nil
	}
	return verdict.WriteResult(results, runresult.Published, text)
}

// read returns the documents that outcome leads to. They are about the image of ref, and the
// inventory among them is the one that was judged.
func (o PublishDocuments) read(ref image.Reference, outcome taskresult.Result) (documents.Folder, error) {
	if outcome.Digest != ref.Digest() {
		return documents.Folder{}, fmt.Errorf("the outcome is of %s, not of %s", outcome.Digest, ref.Digest())
	}
	if outcome.Documents.IsZero() {
		if outcome.Report != "" || o.Mode != publishNone && outcome.Unpublished == "" {
			return documents.Folder{}, errors.New("scan-image handed on no documents; bind its workspace \"documents\"")
		}
		return documents.Folder{}, nil
	}
	if o.Mode == publishNone {
		return documents.Folder{}, fmt.Errorf("scan-image handed on documents, and --publish is %s", o.Mode)
	}
	folder, err := documents.Read(o.Documents, outcome.Documents)
	if err != nil {
		return documents.Folder{}, err
	}
	if folder.Image != outcome.Digest {
		return documents.Folder{}, oci.Errorf(oci.ReasonCorrupted, "list of documents", "it is about %s, and the outcome about %s", folder.Image, outcome.Digest)
	}
	stored := folder.Of(documents.Inventory)
	if (len(stored) > 0) != (outcome.Inventory != nil) || len(stored) > 0 && stored[0].Digest != outcome.Inventory.Digest {
		return documents.Folder{}, oci.Errorf(oci.ReasonCorrupted, "list of documents", "its list of packages is not the one that the scan judged")
	}
	return folder, nil
}

// publish pushes the documents, and adds what became of them to p.
func (o PublishDocuments) publish(
	ctx context.Context, out io.Writer, ref image.Reference, options fetch.Options, folder documents.Folder, p taskresult.Published,
) (taskresult.Published, error) {
	report, inventory, err := pushAll(ctx, out, ref, options, folder)
	var broken *brokenError
	switch {
	case err == nil:
		return p.At(ref.Repository().At(report).String(), inventory), nil
	case errors.As(err, &broken):
		return p, broken.error
	case o.Mode == publishRequired:
		return p, err
	default:
		fmt.Fprintln(out, "warning: could not publish the report:", result.Line(err.Error()))
		return p.Withheld(err), nil
	}
}

// brokenError is an error of the documents, and not of the registry.
type brokenError struct{ error }

// pushAll pushes the SBOMs, the inventory and the report. It returns the digests of the report and of
// the inventory's artefact.
func pushAll(
	ctx context.Context, out io.Writer, ref image.Reference, options fetch.Options, folder documents.Folder,
) (report, inventory image.Digest, err error) {
	registry, err := publish.NewRegistry(ref.Repository(), options)
	if err != nil {
		return image.Digest{}, image.Digest{}, err
	}
	subjects, err := subjectsOf(ctx, registry, ref.Digest(), folder)
	if err != nil {
		return image.Digest{}, image.Digest{}, err
	}
	push := pushTo(ctx, out, registry)
	for _, kind := range []documents.Kind{documents.SBOM, documents.Inventory, documents.Report} {
		for _, d := range folder.Of(kind) {
			a, err := artifactOf(folder, d, subjects[d.Subject])
			if err != nil {
				return image.Digest{}, image.Digest{}, &brokenError{err}
			}
			pushed, err := push(a)
			if err != nil {
				return image.Digest{}, image.Digest{}, err
			}
			switch kind {
			case documents.Report:
				report = pushed
			case documents.Inventory:
				inventory = pushed
			case documents.SBOM: // clients find it by its image
			}
		}
	}
	return report, inventory, nil
}

// subjectsOf returns the descriptors of what the documents are about, which has to be the image or
// one that its index leads to: whoever wrote the list may have named any image of the repository.
func subjectsOf(
	ctx context.Context, registry *publish.Registry, root image.Digest, folder documents.Folder,
) (map[image.Digest]oci.Descriptor, error) {
	var wanted []image.Digest
	for _, d := range folder.Documents {
		wanted = append(wanted, d.Subject)
	}
	subjects, err := registry.Within(ctx, root, wanted)
	if err != nil {
		return nil, err
	}
	for _, d := range folder.Documents {
		if subjects[d.Subject].Digest.IsZero() {
			return nil, &brokenError{oci.Errorf(oci.ReasonCorrupted, d.String(), "%s does not lead to what it is about", root)}
		}
	}
	return subjects, nil
}

// artifactOf returns a document as the artefact to push.
func artifactOf(folder documents.Folder, d documents.Document, subject oci.Descriptor) (publish.Artifact, error) {
	if d.Kind == documents.Inventory {
		return publish.NewInventory(subject, d.Digest, func(w io.Writer) error { return folder.Copy(d, w) })
	}
	raw, err := folder.Bytes(d)
	if d.Kind == documents.SBOM {
		return publish.SBOM(subject, raw), err
	}
	return reportOf(subject, raw), err
}

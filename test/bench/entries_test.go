//go:build linux && bench

package bench

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/test/rig"
)

// makeEntries records so many digests of so many repositories, each with a verdict.
func (e *bed) makeEntries(b *testing.B, trigger *v1alpha1.ImageTrigger, entries, repositories int) {
	b.Helper()
	first, err := passedEntry(trigger, 0, repositories)
	if err != nil {
		b.Fatal(err)
	}
	e.writeEntry(b, first)
	e.copyEntries(b, first, entries, func(n int) (*v1alpha1.ImageVerification, error) {
		return passedEntry(trigger, n, repositories)
	})
}

// copyEntries makes so many entries of which the first is stored.
func (e *bed) copyEntries(b *testing.B, first *v1alpha1.ImageVerification, number int, entry func(n int) (*v1alpha1.ImageVerification, error)) {
	b.Helper()
	seed(b, e, first, number, func(n int, o *v1alpha1.ImageVerification) error {
		want, err := entry(n)
		if err != nil {
			return err
		}
		o.Namespace, o.Name, o.Labels, o.Spec, o.Status = want.Namespace, want.Name, want.Labels, want.Spec, want.Status
		return nil
	})
}

// writeEntry has the API server store an entry and its status.
func (e *bed) writeEntry(b *testing.B, entry *v1alpha1.ImageVerification) {
	b.Helper()
	c, status := e.ledgerClient(b), entry.Status
	if err := c.Create(b.Context(), entry); err != nil {
		b.Fatal(err)
	}
	entry.Status = status
	if err := c.Status().Update(b.Context(), entry); err != nil {
		b.Fatal(err)
	}
}

// ledgerClient is for writing the ledger, which only Revet's own accounts may.
func (e *bed) ledgerClient(b *testing.B) client.Client {
	b.Helper()
	config, err := e.cluster.UserConfig("system:serviceaccount:"+systemNamespace+":controller", "system:serviceaccounts")
	if err != nil {
		b.Fatal(err)
	}
	c, err := newClient(config)
	if err != nil {
		b.Fatal(err)
	}
	return c
}

// passedEntry is the entry of digest number n of a ledger of so many repositories.
func passedEntry(trigger *v1alpha1.ImageTrigger, n, repositories int) (*v1alpha1.ImageVerification, error) {
	name := fmt.Sprintf("%s/app-%05d", trigger.Namespace, n%repositories)
	r := v1alpha1.RepositoryReference{
		Kind: v1alpha1.RepositoryImageStream, Name: name, Pull: "registry.example.com/" + name,
		UID: fmt.Sprintf("00000000-0000-4000-8000-%012d", n%repositories),
	}
	entry, err := rig.NewEntry(trigger, r, digestOf(fmt.Sprintf("entry %d", n)), fmt.Sprintf("v1.%d", n%streamTags), time.Now())
	if err != nil {
		return nil, err
	}
	rig.Conclude(entry, v1alpha1.OutcomePass, time.Now())
	dress(entry)
	return entry, nil
}

// finding is a warning as summaries hold it.
const finding = `{"check":"scan","rule":"CVE-2026-%05d","level":"warning","package":"libexample %d.2.3","fixed":"","title":"a library reads too far"}`

// dress gives a concluded entry what the pipeline of triggers/ and the controller write besides: four
// warnings, a report, what the verdict rests on, and the conditions.
func dress(e *v1alpha1.ImageVerification) {
	now := time.Now()
	s, run := &e.Status, &e.Status.Runs[0]
	e.Labels = map[string]string{v1alpha1.TriggerUIDLabel: e.Spec.Trigger.UID}
	e.Spec.Image, s.Image = s.Image, nil // the receiver read the Image
	e.Spec.Image.Labels = map[string]string{"org.opencontainers.image.source": "https://git.example.com/team/app"}
	var findings []string
	for n := range 4 {
		findings = append(findings, fmt.Sprintf(finding, n, n))
	}
	run.Summary = fmt.Sprintf(`{"counts":{"images":1,"checks":5,"rules":40,"errors":0,"warnings":4},"findings":[%s],`+
		`"database":{"digest":%q,"asOf":"2026-11-30T00:00:00Z"},"platforms":["linux/amd64"]}`, strings.Join(findings, ","), e.Spec.Digest)
	run.Report = e.Spec.Repository.Pull + "@" + digestOf("report "+e.Name)
	run.Sandbox.Overhead = map[string]string{"cpu": "250m", "memory": "160Mi"}
	run.Sandbox.Pods, run.Sandbox.Node = []string{run.Name + "-fetch-pod", run.Name + "-scan-pod", run.Name + "-publish-pod"}, "node-1"
	v := s.Verdict
	v.Parts = map[string]string{"scan": digestOf("scan"), "validate": digestOf("validate")}
	v.PolicyDigest, v.Database.Digest = digestOf("policy"), digestOf("database")
	v.Inventory = &v1alpha1.VerdictInventory{Digest: digestOf("inventory " + e.Name), Reference: e.Spec.Repository.Pull + "@" + digestOf("sbom "+e.Name)}
	s.MarkRecorded(now)
	s.MarkFired(run.Name, now)
	s.MarkStarted(run.Name, now)
	s.MarkVerified("run "+run.Name, now)
}

// countEntries asks for one entry, and how many there are besides.
func (e *bed) countEntries(b *testing.B, namespace string) int {
	b.Helper()
	var page metav1.PartialObjectMetadataList
	page.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("ImageVerificationList"))
	if err := e.admin.List(b.Context(), &page, client.InNamespace(namespace), client.Limit(1)); err != nil {
		b.Fatal(err)
	}
	number := len(page.Items)
	if more := page.RemainingItemCount; more != nil {
		number += int(*more)
	}
	return number
}

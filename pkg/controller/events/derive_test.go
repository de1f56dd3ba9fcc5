package events

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cdevents/sdk-go/pkg/api"
	v05 "github.com/cdevents/sdk-go/pkg/api/v05"
	"github.com/google/go-cmp/cmp"
	packageurl "github.com/package-url/packageurl-go"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

var update = flag.Bool("update", false, "write the golden files")

const testDigest = "sha256:8d3b1e7f3ab0d2c5f9a6b4c3d2e1f00112233445566778899aabbccddeeff001"

var noon = time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC)

func at(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }

func second(minutes int) *metav1.Time { t := metav1.NewTime(at(minutes)); return &t }

// testEntry has two tags, a run that failed its checks and one under way.
func testEntry() *v1alpha1.ImageVerification {
	return &v1alpha1.ImageVerification{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "app-8d3b", UID: "11111111-1111-4111-8111-111111111111"},
		Spec: v1alpha1.ImageVerificationSpec{
			Trigger: v1alpha1.TriggerReference{Name: "all", UID: "22"},
			Repository: v1alpha1.RepositoryReference{Kind: v1alpha1.RepositoryImageStream, Name: "team-a/app", UID: "33",
				Pull: "image-registry.openshift-image-registry.svc:5000/team-a/app"},
			Digest:    testDigest,
			FirstPush: v1alpha1.PushRecord{Tag: "v1", PushedAt: *second(0), Source: v1alpha1.SourceEvent},
		},
		Status: v1alpha1.ImageVerificationStatus{
			Tags: []v1alpha1.TagStatus{
				{PushRecord: v1alpha1.PushRecord{Tag: "v2", PushedAt: *second(10)}, Run: 2},
				{PushRecord: v1alpha1.PushRecord{Tag: "v1", PushedAt: *second(0)}, Run: 1},
				{PushRecord: v1alpha1.PushRecord{Tag: "undecided", PushedAt: *second(11)}},
				{PushRecord: v1alpha1.PushRecord{Tag: "skipped", PushedAt: *second(12)}, Run: v1alpha1.RunSkipped},
			},
			Runs: []v1alpha1.RunStatus{
				{
					Number: 1, Name: "app-run1", Cause: v1alpha1.Cause{Type: v1alpha1.CausePush, Key: "v1"},
					RequestedAt: metav1.NewMicroTime(at(1)), StartedAt: second(2), FinishedAt: second(3),
					Outcome: v1alpha1.OutcomeFail, Reason: "Failed", Message: "2 checks failed", Summary: `{"failed":2}`, Off: []string{"scan", "signature"},
					Report: "registry.example/reports@sha256:11", Sandbox: v1alpha1.SandboxStatus{Observed: []string{"kata"}},
				},
				{
					Number: 2, Name: "app-run2", Cause: v1alpha1.Cause{Type: v1alpha1.CauseManual, Key: "again"},
					RequestedAt: metav1.NewMicroTime(at(10)), StartedAt: second(11),
				},
			},
			RunCount: 2,
			Image:    &v1alpha1.ImageFacts{ClaimedRevision: "0123abc"},
			Verdict:  &v1alpha1.Verdict{Outcome: v1alpha1.OutcomeFail, Run: "app-run1", Number: 1, PolicyDigest: testDigest},
		},
	}
}

// Property: beside the outcome of its run, an event tells the verdict that counts, which may
// be another run's; an entry of before verdicts were kept has none, whatever its phase says.
func TestAnEventTellsTheVerdictThatCounts(t *testing.T) {
	told := func(change func(*v1alpha1.ImageVerificationStatus)) map[string]string {
		e := testEntry()
		e.Status.Runs[1].Outcome, e.Status.Runs[1].Reason = v1alpha1.OutcomeError, "RunFailed"
		change(&e.Status)
		got := map[string]string{}
		for _, event := range Derive(e) {
			if verdict, ok := event.attributes[AttributeVerdict]; ok {
				got[event.Key] = event.attributes[AttributeOutcome] + " " + verdict + " " + event.event.CustomData.PolicyDigest
			}
		}
		return got
	}
	for name, test := range map[string]struct {
		change func(*v1alpha1.ImageVerificationStatus)
		want   map[string]string
	}{
		"an error after a verdict": {func(*v1alpha1.ImageVerificationStatus) {},
			map[string]string{"finished-1": "fail fail " + testDigest, "finished-2": "error fail "}},
		"no verdict": {func(s *v1alpha1.ImageVerificationStatus) { s.Phase, s.Verdict = v1alpha1.PhaseFailed, nil },
			map[string]string{"finished-1": "fail none ", "finished-2": "error none "}},
		"a newer verdict": {func(s *v1alpha1.ImageVerificationStatus) {
			s.Runs[1].Outcome = v1alpha1.OutcomePass
			s.Verdict = &v1alpha1.Verdict{Outcome: v1alpha1.OutcomePass, Run: "app-run2", Number: 2, PolicyDigest: "p"}
		}, map[string]string{"finished-1": "fail pass ", "finished-2": "pass pass p"}},
	} {
		if diff := cmp.Diff(test.want, told(test.change)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// Property: every event of an entry carries the revision that its image claims, and none if it
// claims none or what it claims is not known.
func TestAnEventCarriesTheClaimedRevision(t *testing.T) {
	for name, test := range map[string]struct {
		spec, status *v1alpha1.ImageFacts
		want         string
	}{
		"in the spec":        {&v1alpha1.ImageFacts{ClaimedRevision: "0abc"}, nil, "0abc"},
		"in the status":      {nil, &v1alpha1.ImageFacts{ClaimedRevision: "0abc"}, "0abc"},
		"read again since":   {&v1alpha1.ImageFacts{ClaimedRevision: "1abc"}, &v1alpha1.ImageFacts{ClaimedRevision: "0abc"}, "0abc"},
		"contradicted since": {&v1alpha1.ImageFacts{ClaimedRevision: "1abc"}, &v1alpha1.ImageFacts{RevisionIgnored: v1alpha1.RevisionDiffers}, ""},
		"no claim":           {&v1alpha1.ImageFacts{}, nil, ""},
		"nothing read":       {nil, nil, ""},
	} {
		e := testEntry()
		e.Spec.Image, e.Status.Image = test.spec, test.status
		for _, event := range Derive(e) {
			c, err := event.CloudEvent()
			if err != nil {
				t.Fatal(err)
			}
			got, has := c.Extensions()[AttributeRevision]
			if has != (test.want != "") || (has && got != test.want) {
				t.Errorf("%s: event %s carries %v, want %q", name, event.Key, got, test.want)
			}
		}
	}
}

// The events of an entry, whole: other people's Triggers and parsers depend on them.
func TestDeriveGolden(t *testing.T) {
	var got []json.RawMessage
	for _, e := range Derive(testEntry()) {
		c, err := e.CloudEvent()
		if err != nil {
			t.Fatal(err)
		}
		body, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, body)
	}
	text, err := json.MarshalIndent(got, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "entry.json")
	if *update {
		if err := os.WriteFile(golden, append(text, '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatalf("%v; write it with: go test ./pkg/controller/events -update", err)
	}
	if diff := cmp.Diff(string(want), string(text)+"\n"); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// entries are all shapes that an entry's runs can have.
func entries() map[string]*v1alpha1.ImageVerification {
	all := map[string]*v1alpha1.ImageVerification{"two runs": testEntry()}
	causes := []v1alpha1.CauseType{"something"}
	for _, c := range lifecycle.Causes() {
		causes = append(causes, c.Type)
	}
	for _, outcome := range []v1alpha1.Outcome{v1alpha1.OutcomePass, v1alpha1.OutcomeFail, v1alpha1.OutcomeError, "something"} {
		for _, cause := range causes {
			e := testEntry()
			e.Status.Runs[0].Outcome, e.Status.Runs[0].Cause.Type = outcome, cause
			all[fmt.Sprintf("outcome %s, cause %s", outcome, cause)] = e
		}
	}
	bare := testEntry()
	bare.Status.Tags = nil
	bare.Status.Runs = []v1alpha1.RunStatus{{Number: 1, Name: "app-run1", Outcome: v1alpha1.OutcomeError}}
	all["a run that never started"] = bare
	manual := testEntry()
	manual.Spec.FirstPush.Source, manual.Spec.FirstPush.Tag = v1alpha1.SourceManual, ""
	manual.Status.Tags = nil
	all["a digest that nobody pushed"] = manual
	odd := testEntry()
	odd.Spec.Repository.Pull, odd.Spec.Repository.Name = "localhost:5001/a/B_c", "localhost:5001/a/b__c"
	odd.Status.Runs[0].Summary = `not JSON "`
	odd.Status.Runs[0].Message = "line\nbreak \" and \x00"
	all["odd texts"] = odd
	return all
}

// Every event is a CDEvent by the SDK's own validation, and reads back as the
// type that it says it is.
func TestEveryEventIsAValidCDEvent(t *testing.T) {
	for name, entry := range entries() {
		t.Run(name, func(t *testing.T) {
			events := Derive(entry)
			if len(events) == 0 {
				t.Fatal("no events")
			}
			for _, e := range events {
				c, err := e.CloudEvent()
				if err != nil {
					t.Fatal(err)
				}
				read, err := v05.NewFromJsonBytes(c.Data())
				if err != nil {
					t.Fatalf("%s: %v\n%s", e.Key, err, c.Data())
				}
				if err := api.Validate(read); err != nil {
					t.Errorf("%s: %v\n%s", e.Key, err, c.Data())
				}
				want, err := api.AsCloudEvent(read)
				if err != nil {
					t.Fatal(err)
				}
				got := []string{c.ID(), c.Source(), c.Subject(), c.Type()}
				if diff := cmp.Diff([]string{want.ID(), want.Source(), want.Subject(), want.Type()}, got); diff != "" {
					t.Errorf("%s: attributes differ from those of the SDK (-SDK +ours):\n%s", e.Key, diff)
				}
			}
		})
	}
}

// The types are those of the release of CDEvents that the SDK speaks.
func TestTypesAreTheSDKs(t *testing.T) {
	for ours, theirs := range map[string]api.CDEventType{
		TypePublished: v05.ArtifactPublishedEventType,
		TypeQueued:    v05.TestSuiteRunQueuedEventType,
		TypeStarted:   v05.TestSuiteRunStartedEventType,
		TypeFinished:  v05.TestSuiteRunFinishedEventType,
	} {
		if ours != theirs.String() {
			t.Errorf("%s is %s in the SDK", ours, theirs)
		}
	}
	if specVersion != v05.SpecVersion {
		t.Errorf("specversion %s, the SDK's is %s", specVersion, v05.SpecVersion)
	}
}

func TestPackageURLNamesTheImage(t *testing.T) {
	got, err := packageurl.FromString(packageURL("localhost:5001/team/My-App", testDigest, "v1"))
	if err != nil {
		t.Fatal(err)
	}
	want := packageurl.PackageURL{Type: "oci", Name: "my-app", Version: testDigest, Qualifiers: packageurl.QualifiersFromMap(
		map[string]string{"repository_url": "localhost:5001/team/My-App", "tag": "v1"})}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("package URL (-want +got):\n%s", diff)
	}
}

// The same entry gives the same ids, and no two events of entries share one.
func TestIDsAreDeterministicAndUnique(t *testing.T) {
	owner := map[string]string{}
	again := testEntry()
	again.UID = "99999999-9999-4999-8999-999999999999"
	for _, entry := range []*v1alpha1.ImageVerification{testEntry(), again} {
		first, second := Derive(entry), Derive(entry.DeepCopy())
		for i := range first {
			if first[i].event.Context != second[i].event.Context {
				t.Errorf("%+v became %+v", first[i].event.Context, second[i].event.Context)
			}
			id := first[i].event.Context.ID
			if have, taken := owner[id]; taken {
				t.Errorf("id %s of %s is also of %s", id, entry.UID, have)
			}
			owner[id] = string(entry.UID)
		}
	}
}

// A push of a tag that is pushed again is another event.
func TestEachPushOfATagIsAnEvent(t *testing.T) {
	one := testEntry()
	two := testEntry()
	two.Status.Tags[0].PushedAt = *second(20)
	three := testEntry()
	three.Status.Tags[0].Sequence = 7
	keys := map[string]bool{}
	for _, e := range []*v1alpha1.ImageVerification{one, two, three} {
		keys[Derive(e)[1].Key] = true
	}
	if len(keys) != 3 {
		t.Errorf("%d keys for three pushes", len(keys))
	}
}

// status.emitted holds 64 keys; more could be forgotten and be sent for ever.
func TestAnEntryHasFewerEventsThanItRemembers(t *testing.T) {
	entry := testEntry()
	entry.Status.Tags, entry.Status.Runs = nil, nil
	for i := range 300 {
		entry.Status.Tags = append(entry.Status.Tags, v1alpha1.TagStatus{
			PushRecord: v1alpha1.PushRecord{Tag: fmt.Sprintf("t%d", i), PushedAt: *second(i)}, Run: 1})
	}
	for i := range 10 {
		entry.Status.Runs = append(entry.Status.Runs, v1alpha1.RunStatus{
			Number: int32(i + 1), Name: "r", StartedAt: second(i), Outcome: v1alpha1.OutcomePass})
	}
	events := Derive(entry)
	if len(events) > 48 {
		t.Errorf("%d events", len(events))
	}
	if last := events[maxPublished-1].attributes[AttributeTag]; last != "t299" {
		t.Errorf("the newest push told of is %q, want t299", last)
	}
}

package chaos

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/gate"
	"github.com/revet-dev/revet/pkg/image"
)

// gateState is what the API server holds at one time.
type gateState struct {
	gate     *v1alpha1.ImageGate
	triggers map[string]string // UIDs by name
	entries  []v1alpha1.ImageVerification
	images   []v1alpha1.VerifiedImages
	at       time.Time
}

// content is what the objects of a gate hold together.
type content struct {
	digests, ran, tags map[string]string
	// objects counts those that hold digests.
	objects int
}

func contentOf(images []v1alpha1.VerifiedImages, name string) content {
	c := content{digests: map[string]string{}, ran: map[string]string{}, tags: map[string]string{}}
	for i := range images {
		if images[i].Name == gate.TagsName(name) {
			c.tags = images[i].Tags
			continue
		}
		c.objects++
		maps.Copy(c.digests, images[i].Digests)
		maps.Copy(c.ran, images[i].Ran)
	}
	return c
}

// judged is what the pure rules conclude from the ledger.
type judged struct {
	findings map[string]gate.Finding // by 64 hexadecimal digits
	tags     map[string]string
}

func (s *gateState) judge() (judged, error) {
	rules, err := gate.RulesOf(s.gate)
	if err != nil {
		return judged{}, err
	}
	evidence := map[string][]gate.Evidence{}
	var pushes []gate.TagPush
	for i := range s.entries {
		e := &s.entries[i]
		for _, digest := range digestsOf(e) {
			says := gate.EvidenceOf(e, digest, s.triggers[e.Spec.Trigger.Name])
			evidence[digest.Hex()] = append(evidence[digest.Hex()], says...)
		}
		pushes = append(pushes, rules.TagPushes(e)...)
	}
	j := judged{findings: map[string]gate.Finding{}}
	for hex, all := range evidence {
		j.findings[hex] = rules.Judge(all, s.at)
	}
	find := func(hex string) gate.Finding { return j.findings[hex] }
	j.tags = rules.Pins(s.gate.Spec.PinTags, pushes, find, nil, gate.MaxTagBytes).Tags
	return j, nil
}

// digestsOf are the digests that an entry speaks of.
func digestsOf(e *v1alpha1.ImageVerification) []image.Digest {
	var all []image.Digest
	texts := []string{e.Spec.Digest}
	for _, c := range gate.ChildrenOf(e) {
		texts = append(texts, c.Digest)
	}
	for _, text := range texts {
		if d, err := image.ParseDigest(text); err == nil {
			all = append(all, d)
		}
	}
	return all
}

// differences says where the objects of the gate differ from what the ledger says, by the pure
// rules and said plainly, and where those two differ. Running are the digests of Pods.
func (s *gateState) differences(running []string) ([]string, error) {
	j, err := s.judge()
	if err != nil {
		return nil, err
	}
	held, plain := contentOf(s.images, s.gate.Name), plainDigests(s.entries)
	var all []string
	if held.objects != int(s.gate.Status.Shards) {
		all = append(all, fmt.Sprintf("%d objects hold digests, and the gate says %d", held.objects, s.gate.Status.Shards))
	}
	all = append(all, s.digestDifferences(held, j, plain)...)
	all = append(all, s.ranDifferences(held, plain, running)...)
	all = append(all, s.tagDifferences(held, j, plain)...)
	slices.Sort(all)
	return all, nil
}

func (s *gateState) digestDifferences(held content, j judged, plain map[string]plainly) (all []string) {
	for _, hex := range keysOf(maps.Keys(held.digests), maps.Keys(j.findings), maps.Keys(plain)) {
		p, f := plain[hex], j.findings[hex]
		if p.expiresAbout(s.at) {
			continue
		}
		want := ""
		if p.admits(s.at) {
			want = p.passed.UTC().Format(time.RFC3339)
		}
		if (f.Standing == gate.Verified) != (want != "") {
			all = append(all, fmt.Sprintf("digest %s: the rules say %s, and plainly it is %s", hex, f.Standing, p))
		}
		if held.digests[hex] != want {
			all = append(all, fmt.Sprintf("digest %s: the map says %q, and the ledger %q", hex, held.digests[hex], want))
		}
	}
	return all
}

// ranDifferences compares what ran: all of the Pods whose digest passed, be it long ago.
func (s *gateState) ranDifferences(held content, plain map[string]plainly, running []string) (all []string) {
	want := map[string]string{}
	for _, digest := range running {
		if p := plain[bare(digest)]; !p.failed && !p.passed.IsZero() {
			want[bare(digest)] = "runs"
		}
	}
	for _, hex := range keysOf(maps.Keys(held.ran), maps.Keys(want)) {
		at, err := time.Parse(time.RFC3339, held.ran[hex])
		switch {
		case plain[hex].expiresAbout(s.at):
		case want[hex] == "":
			all = append(all, fmt.Sprintf("digest %s: the map says that it ran, and it did not or does not count", hex))
		case held.ran[hex] == "":
			all = append(all, fmt.Sprintf("digest %s: the map does not say that it ran", hex))
		case err != nil || at.After(s.at) || at.Before(s.gate.CreationTimestamp.Time):
			all = append(all, fmt.Sprintf("digest %s: the map says that it ran at %q", hex, held.ran[hex]))
		}
	}
	return all
}

func (s *gateState) tagDifferences(held content, j judged, plain map[string]plainly) (all []string) {
	newest := plainTags(s.entries)
	for _, name := range keysOf(maps.Keys(held.tags), maps.Keys(j.tags), maps.Keys(newest)) {
		hex := newest[name]
		p := plain[hex]
		if p.expiresAbout(s.at) {
			continue
		}
		if held.tags[name] != j.tags[name] {
			all = append(all, fmt.Sprintf("tag %s: the map says %q, and the rules %q", name, held.tags[name], j.tags[name]))
		}
		if pinned := p.admits(s.at) || p.expired(s.at); pinned != (held.tags[name] == hex) || held.tags[name] == "" {
			all = append(all, fmt.Sprintf("tag %s: the map says %q, and plainly it was pushed to %s, which is %s",
				name, held.tags[name], hex, p))
		}
	}
	return all
}

// keysOf are all of the keys, each once, in order.
func keysOf(lists ...iter.Seq[string]) []string {
	var all []string
	for _, keys := range lists {
		all = slices.AppendSeq(all, keys)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// ledgerFaults says where the ledger does not say what was written into it.
func (s *gateState) ledgerFaults(written map[string]v1alpha1.Outcome) (all []string) {
	found := map[string]v1alpha1.Outcome{}
	for i := range s.entries {
		if v := s.entries[i].Status.Verdict; v != nil {
			found[s.entries[i].Namespace+"/"+s.entries[i].Name] = v.Outcome
		}
	}
	for _, key := range slices.Sorted(maps.Keys(written)) {
		if found[key] != written[key] {
			all = append(all, fmt.Sprintf("entry %s: the ledger says %q, and %q was written last", key, found[key], written[key]))
		}
	}
	return all
}

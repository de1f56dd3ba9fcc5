package gate

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/push"
)

// The reasons for which a known tag is not pinned, besides those of findings.
const (
	// ReasonBeingVerified: the newest push of the tag has no verdict yet.
	ReasonBeingVerified Reason = "BeingVerified"
	// ReasonNotVerified: the newest push of the tag ended without a verdict.
	ReasonNotVerified Reason = "NotVerified"
	// ReasonTooManyTags: nobody knows the newest push of the tag, as another digest was pushed
	// to more tags than its entry tells of.
	ReasonTooManyTags Reason = v1alpha1.ReasonTooManyTags
)

// MaxTagBytes bounds the content of VerifiedImages.tags. An object of the API server has
// room for 1.5 MiB.
const MaxTagBytes = 1 << 20

// TagPush is the newest push of a tag to a digest, as an entry of a trusted trigger records it.
type TagPush struct {
	// Trigger is the UID of the entry's trigger. Each trigger orders the pushes that it sees.
	Trigger    string
	Repository push.Repository
	// Names are host/path under which an ImageStream's tags are served.
	Names []string
	Tag   string
	// Key stands for a tag that the entry does not name: Tag is empty then.
	Key v1alpha1.TagKey
	push.Moment
	// Digest is 64 hexadecimal digits.
	Digest string
	// Underway is true while the entry waits for a run, or for its end.
	Underway bool
	// Forgets is true of an entry that has forgotten tags, of pushes until Through, in Unix
	// seconds.
	Forgets bool
	Through int64
	// NoImage is true if the digest is proven to be nothing that can run, such as a signature,
	// or the list of reports that clients keep under the tag sha256-HEX.
	NoImage bool
}

// TagPushes returns the pushes that an entry records, or none if the gate does not trust its
// trigger.
func (r Rules) TagPushes(entry *v1alpha1.ImageVerification) []TagPush {
	digest, err := image.ParseDigest(entry.Spec.Digest)
	if err != nil || !r.Trusts(entry.Namespace, entry.Spec.Trigger.Name) {
		return nil
	}
	repository := entry.Spec.Repository
	underway := slices.Contains([]v1alpha1.Phase{v1alpha1.PhasePending, v1alpha1.PhaseRequested, v1alpha1.PhaseRunning}, entry.Phase())
	of := TagPush{
		Trigger:    entry.Spec.Trigger.UID,
		Repository: push.Repository{Kind: push.Kind(repository.Kind), Name: repository.Name, UID: repository.UID},
		Names:      repository.Names,
		Digest:     digest.Hex(),
		Underway:   underway,
		NoImage:    entry.IsNoImage(),
	}
	of.Through, of.Forgets = entry.Status.MoreTags.ForgetsThrough()
	var all []TagPush
	for _, t := range entry.Tags() {
		if !image.ValidTag(t.Tag) {
			continue // a digest that somebody asked to verify has no tag
		}
		of.Tag = t.Tag
		of.Moment = push.Moment{PushedAt: t.PushedAt.Unix(), Sequence: t.Sequence}
		all = append(all, of)
	}
	for _, t := range entry.Status.MoreTags.Unpack() {
		of.Tag, of.Key = "", t.Key
		of.Moment = push.Moment{PushedAt: t.PushedAt, Sequence: t.Sequence}
		all = append(all, of)
	}
	return all
}

// PinnedTags is the content of VerifiedImages.tags, and what found no room in it.
type PinnedTags struct {
	// Tags maps a normalised host/path:tag to 64 hexadecimal digits, or to a Reason.
	Tags map[string]string
	// Omitted counts the tags for which there was no room, and FirstOmitted names the one
	// that would have come next. Such a tag is refused as one that nobody knows.
	Omitted      int
	FirstOmitted string
	// Unnamed counts the tags that no entry names any more, as their digests were pushed to too
	// many. Such a tag is refused as one that nobody knows.
	Unnamed int
}

// Pins says what each known tag stands for. Of every trigger and repository the newest push
// counts, as the ledger orders them; of several that share a name, the later one. Pushes
// without an order are all the newest: the tag is pinned only if each of their digests is.
//
// A tag is pinned to a digest that is verified. If spec.onExpired is Warn, also to one whose
// verdict expired: the policy of digests then says whether it ran here.
//
// A tag whose newest push is no image is left out: nobody starts it. Tags that exempt reports true
// for stay as they are. The content takes at most budget bytes: pins come first, and of these the
// newest pushes of each owner in turn.
func (r Rules) Pins(policy v1alpha1.PinPolicy, pushes []TagPush, find func(digest string) Finding, exempt func(Name) bool, budget int) PinnedTags {
	if policy == v1alpha1.PinOff {
		return PinnedTags{}
	}
	p := pinning{find: once(find), exempt: exempt, keepsExpired: r.onExpired == v1alpha1.ExpiredWarn, lastPassed: policy == v1alpha1.PinLastPassed}
	p.gather(pushes)
	all := within(p.conclude(), budget)
	all.Unnamed = p.unnamed
	return all
}

// once asks about each digest once. Many tags may stand for one, and many entries speak of it.
func once(find func(digest string) Finding) func(string) Finding {
	known := map[string]Finding{}
	return func(digest string) Finding {
		f, ok := known[digest]
		if !ok {
			f = find(digest)
			known[digest] = f
		}
		return f
	}
}

// pinning is what Pins works on.
type pinning struct {
	find         func(string) Finding
	exempt       func(Name) bool
	keepsExpired bool
	lastPassed   bool

	// hosts serve the cluster's ImageStreams: the registry's service and its route.
	hosts []string
	// namedIn has the namespaces whose streams name a host.
	namedIn  map[string]map[string]bool
	underway map[string]bool
	noImage  map[string]bool
	lines    map[lineKey]*line
	// forgetful are the digests whose entries have forgotten tags, and of pushes until when.
	forgetful map[source]map[string]int64
	// unnamed counts the lines without a name.
	unnamed int
}

// source is where a trigger sees pushes.
type source struct {
	trigger    string
	repository push.Repository
}

// lineKey identifies pushes that have an order.
type lineKey struct {
	source
	tag v1alpha1.TagKey
}

// line is where a tag stands for one trigger and repository.
type line struct {
	tag    string // empty as long as no entry names it
	newest push.Head
	passed push.Head // only of digests that can be pinned
	// told are the digests whose entries tell of the tag, though they have forgotten others.
	told []string
	// unsure is true if nobody knows the newest push of the tag.
	unsure bool
}

// pin is what a tag stands for: a digest or a reason.
type pin struct {
	name, value string
	pinned      bool
	pushedAt    int64
	// before are the bytes of the owner's pins that come first.
	before int
}

// gather orders the pushes.
func (p *pinning) gather(pushes []TagPush) {
	p.underway, p.noImage, p.lines = map[string]bool{}, map[string]bool{}, map[lineKey]*line{}
	p.namedIn, p.forgetful = map[string]map[string]bool{}, map[source]map[string]int64{}
	for i := range pushes {
		of := &pushes[i]
		p.learnHosts(of)
		if of.Underway {
			p.underway[of.Digest] = true
		}
		if of.NoImage {
			p.noImage[of.Digest] = true
		}
		key := lineKey{source{of.Trigger, of.Repository}, of.Key}
		if of.Tag != "" {
			key.tag = v1alpha1.KeyOfTag(of.Tag)
		}
		l := p.lines[key]
		if l == nil {
			l = &line{}
			p.lines[key] = l
		}
		l.tag = cmp.Or(l.tag, of.Tag)
		if of.Forgets {
			p.forgot(key.source, of)
			l.told = append(l.told, of.Digest)
		}
		l.newest = l.newest.Raised(of.Moment, of.Digest)
		if p.lastPassed && p.pinnable(of.Digest) {
			l.passed = l.passed.Raised(of.Moment, of.Digest)
		}
	}
	p.settleHosts()
}

// forgot notes that an entry has forgotten tags.
func (p *pinning) forgot(at source, of *TagPush) {
	if p.forgetful[at] == nil {
		p.forgetful[at] = map[string]int64{}
	}
	p.forgetful[at][of.Digest] = of.Through
}

// unsure reports whether an entry may have had a newer push of a tag, and has forgotten it.
func (p *pinning) unsure(at source, l *line) bool {
	for digest, through := range p.forgetful[at] {
		if through >= l.newest.PushedAt && !slices.Contains(l.told, digest) {
			return true
		}
	}
	return false
}

// maxHosts is how many hosts serve the cluster's ImageStreams: a service and a route, and those
// that they had before. Each tag of each stream has a name for each.
const maxHosts = 4

// learnHosts notes the hosts in the names of a stream. They are the cluster's: a stream whose
// entries name none, or not the route that was added later, is served there too.
//
// The first is the registry's service. A cluster without a registry shows there what the stream's
// owner wrote: a stranger's host serves no tag of a stream.
func (p *pinning) learnHosts(of *TagPush) {
	if len(of.Names) == 0 {
		return
	}
	first, _, _ := strings.Cut(of.Names[0], "/")
	if name, _, _ := strings.Cut(first, ":"); !strings.HasSuffix(name, ".svc") {
		return
	}
	namespace, _, _ := strings.Cut(of.Repository.Name, "/")
	for _, name := range of.Names {
		host, path, ok := strings.Cut(name, "/")
		if !ok || path != of.Repository.Name {
			continue
		}
		if p.namedIn[host] == nil {
			p.namedIn[host] = map[string]bool{}
		}
		p.namedIn[host][namespace] = true
	}
}

// settleHosts takes the hosts that the streams of most namespaces name.
func (p *pinning) settleHosts() {
	p.hosts = slices.SortedFunc(maps.Keys(p.namedIn), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(p.namedIn[b]), len(p.namedIn[a])), cmp.Compare(a, b))
	})
	p.hosts = p.hosts[:min(len(p.hosts), maxHosts)]
}

// names are the normalised names of a tag.
func (p *pinning) names(repository push.Repository, tag string) []Name {
	var all []Name
	add := func(name string) {
		if n, err := Normalize(name + ":" + tag); err == nil && !slices.Contains(all, n) {
			all = append(all, n)
		}
	}
	switch repository.Kind {
	case push.Registry:
		add(repository.Name)
	case push.ImageStream:
		for _, host := range p.hosts {
			add(host + "/" + repository.Name)
		}
	default: // no kind of repository: no reference means it
	}
	return all
}

// conclude says for each name what it stands for.
func (p *pinning) conclude() []pin {
	named := map[Name][]*line{}
	for key, l := range p.lines {
		if l.tag == "" {
			p.unnamed++
			continue
		}
		l.unsure = p.unsure(key.source, l)
		for _, name := range p.names(key.repository, l.tag) {
			named[name] = append(named[name], l)
		}
	}
	pins := make([]pin, 0, len(named))
	for name, lines := range named {
		if p.exempt != nil && p.exempt(name) {
			continue
		}
		if of := p.judge(name.String(), lines); of.value != "" {
			pins = append(pins, of)
		}
	}
	return pins
}

// judge says what a name stands for. No value is for what is no image.
func (p *pinning) judge(name string, lines []*line) pin {
	at, digests := newest(lines, func(l *line) push.Head { return l.newest })
	if slices.ContainsFunc(lines, func(l *line) bool { return l.unsure }) {
		return pin{name: name, value: string(ReasonTooManyTags), pushedAt: at}
	}
	if p.lastPassed {
		if passedAt, passed := newest(lines, func(l *line) push.Head { return l.passed }); len(passed) > 0 {
			return pin{name: name, value: passed[0], pinned: true, pushedAt: passedAt}
		}
	}
	if !slices.ContainsFunc(digests, func(d string) bool { return !p.noImage[d] }) {
		return pin{}
	}
	var reasons []Reason
	for _, d := range digests {
		if !p.pinnable(d) {
			reasons = append(reasons, p.reason(d))
		}
	}
	if len(reasons) > 0 {
		return pin{name: name, value: string(slices.MinFunc(reasons, graver)), pushedAt: at}
	}
	return pin{name: name, value: digests[0], pinned: true, pushedAt: at}
}

// newest returns the time of the latest of the lines' heads and the digests that have it, in
// order. The sequences of two lines have no common count; their times have.
func newest(lines []*line, head func(*line) push.Head) (int64, []string) {
	var at int64
	var digests []string
	for _, l := range lines {
		h := head(l)
		switch {
		case len(digests) > 0 && h.PushedAt < at:
		case len(digests) == 0 || h.PushedAt > at:
			at, digests = h.PushedAt, h.All()
		default:
			digests = append(digests, h.All()...)
		}
	}
	slices.Sort(digests)
	return at, slices.Compact(digests)
}

// pinnable reports whether a tag may stand for a digest.
func (p *pinning) pinnable(digest string) bool {
	f := p.find(digest)
	switch f.Standing {
	case Verified:
		return true
	case Expired:
		return p.keepsExpired && f.Verdict != nil && f.Verdict.Outcome == v1alpha1.OutcomePass
	default:
		return false
	}
}

// reason says why a tag does not stand for a digest.
func (p *pinning) reason(digest string) Reason {
	f := p.find(digest)
	switch {
	case f.Standing == Failed:
		return ReasonFailed
	case p.underway[digest]:
		return ReasonBeingVerified
	case f.Reason == ReasonNoResult || f.Reason == ReasonNoEntry || f.Reason == "":
		return ReasonNotVerified
	default:
		return f.Reason
	}
}

// graver orders reasons: a failure first, and the others by name.
func graver(a, b Reason) int {
	switch {
	case a == b:
		return 0
	case a == ReasonFailed:
		return -1
	case b == ReasonFailed:
		return 1
	default:
		return cmp.Compare(a, b)
	}
}

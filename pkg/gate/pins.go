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
	push.Moment
	// Digest is 64 hexadecimal digits.
	Digest string
	// Underway is true while the entry waits for a run, or for its end.
	Underway bool
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
	var all []TagPush
	for _, t := range entry.Tags() {
		if !image.ValidTag(t.Tag) {
			continue // a digest that somebody asked to verify has no tag
		}
		all = append(all, TagPush{
			Trigger:    entry.Spec.Trigger.UID,
			Repository: push.Repository{Kind: push.Kind(repository.Kind), Name: repository.Name, UID: repository.UID},
			Names:      repository.Names,
			Tag:        t.Tag,
			Moment:     push.Moment{PushedAt: t.PushedAt.Unix(), Sequence: t.Sequence},
			Digest:     digest.Hex(),
			Underway:   underway,
			NoImage:    entry.IsNoImage(),
		})
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
	return within(p.conclude(), budget)
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
}

// lineKey identifies pushes that have an order.
type lineKey struct {
	trigger    string
	repository push.Repository
	tag        string
}

// line is where a tag stands for one trigger and repository.
type line struct {
	newest push.Head
	passed push.Head // only of digests that can be pinned
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
	p.namedIn = map[string]map[string]bool{}
	for i := range pushes {
		of := &pushes[i]
		p.learnHosts(of)
		if of.Underway {
			p.underway[of.Digest] = true
		}
		if of.NoImage {
			p.noImage[of.Digest] = true
		}
		key := lineKey{of.Trigger, of.Repository, of.Tag}
		l := p.lines[key]
		if l == nil {
			l = &line{}
			p.lines[key] = l
		}
		l.newest = l.newest.Raised(of.Moment, of.Digest)
		if p.lastPassed && p.pinnable(of.Digest) {
			l.passed = l.passed.Raised(of.Moment, of.Digest)
		}
	}
	p.settleHosts()
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
		for _, name := range p.names(key.repository, key.tag) {
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

// perTag is what JSON adds to a name and its value: quotes, a colon and a comma.
const perTag = len(`"":"",`)

func (p pin) size() int { return len(p.name) + len(p.value) + perTag }

// owner is the host and the first part of the path, below which one team pushes.
func (p pin) owner() string {
	host, path, _ := strings.Cut(p.name, "/")
	first, _, deep := strings.Cut(path, "/")
	if !deep {
		return host
	}
	return host + "/" + first
}

// inTurns orders pins: pinned ones first, and of these the newest. So that nobody who pushes many
// tags takes the room of others, each owner's come in turn, by the bytes of those before them.
func inTurns(pins []pin) {
	order := func(a, b pin) int {
		if a.pinned != b.pinned {
			if a.pinned {
				return -1
			}
			return 1
		}
		return 0
	}
	newest := func(a, b pin) int {
		return cmp.Or(cmp.Compare(b.pushedAt, a.pushedAt), cmp.Compare(a.name, b.name))
	}
	slices.SortFunc(pins, func(a, b pin) int { return cmp.Or(order(a, b), newest(a, b)) })
	taken := map[string]int{}
	for i := range pins {
		owner := pins[i].owner()
		pins[i].before = taken[owner]
		taken[owner] += pins[i].size()
	}
	slices.SortFunc(pins, func(a, b pin) int {
		return cmp.Or(order(a, b), cmp.Compare(a.before, b.before), newest(a, b))
	})
}

// within keeps the pins that take at most budget bytes.
func within(pins []pin, budget int) PinnedTags {
	inTurns(pins)
	all := PinnedTags{Tags: make(map[string]string, len(pins))}
	for i, pin := range pins {
		if budget -= pin.size(); budget < 0 {
			all.Omitted, all.FirstOmitted = len(pins)-i, pin.name
			break
		}
		all.Tags[pin.name] = pin.value
	}
	return all
}

//go:build linux

package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// prober makes Pods in the gated namespace, for show only, and judges what the API server says.
type prober struct {
	client    client.Client
	namespace string
	book      *gateBook
	clock     *leadClock
	timeline  *timeline
	tries     *tries
	digests   []string
	tags      []string
	// server says since when the API server runs.
	server func() (since time.Time, ok bool)
}

const (
	proberPause  = 50 * time.Millisecond
	proberOutage = 200 * time.Millisecond
	tryTimeout   = 5 * time.Second
	// soonAfter the API server was started its caches are what may be at fault.
	soonAfter = 15 * time.Second
	// justFailed is for how long a digest that failed is tried with preference.
	justFailed = 90 * time.Second
)

// anAnswer is what the API server said. The zero value is none.
type anAnswer int

const (
	noAnswer anAnswer = iota
	startsNot
	starts
)

// run tries until the context ends.
func (p *prober) run(ctx context.Context, random *rand.Rand) {
	for ctx.Err() == nil {
		answer, _ := p.try(ctx, p.choose(random))
		pause := proberPause
		if answer == noAnswer {
			pause = proberOutage
		}
		if !sleep(ctx, pause) {
			return
		}
	}
}

// choose draws a reference: often of a digest that failed a moment ago.
func (p *prober) choose(random *rand.Rand) string {
	draw := random.IntN(100)
	if draw < 25 && len(p.tags) > 0 {
		return p.tags[random.IntN(len(p.tags))]
	}
	if failed := p.book.failedNow(time.Now(), justFailed); draw < 55 && len(failed) > 0 {
		return referenceOf(failed[random.IntN(len(failed))])
	}
	return referenceOf(p.digests[random.IntN(len(p.digests))])
}

// referenceOf names a digest. A gate goes by the digest alone.
func referenceOf(digest string) string { return "r.example.com/any/where@" + digest }

// digestIn is the digest in a reference, or empty.
func digestIn(reference string) string {
	_, digest, _ := strings.Cut(reference, "@")
	return digest
}

// try tries one reference, and notes what was wrong with the answer. Pinned is the reference
// that an admitted Pod would have.
func (p *prober) try(ctx context.Context, reference string) (answer anAnswer, pinned string) {
	// What a tag stands for is known only afterwards, and what is known of that from before.
	before := map[string]view{}
	now := p.clock.now()
	if digest := digestIn(reference); digest != "" {
		before[digest] = p.book.look(digest, now)
	} else {
		for _, digest := range p.digests {
			before[digest] = p.book.look(digest, now)
		}
	}
	answer, said := p.ask(ctx, reference)
	p.count(answer, digestIn(reference) == "")
	if answer == startsNot && digestIn(reference) != "" {
		p.refused(before[digestIn(reference)], said)
	}
	if answer != starts {
		return answer, ""
	}
	pinned = said
	f := finding{wrong: "nothing says which digest it stands for"}
	if known, ok := before[digestIn(pinned)]; ok {
		f = p.book.admitted(known)
	}
	p.tries.admitted(pinned, f)
	if f.wrong != "" || f.led > lateAfter {
		p.timeline.note("WRONG", "%s was admitted as %s: %+v", reference, pinned, f)
	}
	return answer, pinned
}

// notedBehind is from when on it is noted that a digest that passed is refused.
const notedBehind = 5 * time.Second

// refused takes the refusal of a digest, and what the API server said.
func (p *prober) refused(v view, said string) {
	wall, led := p.book.refused(v)
	p.tries.refused(wall, led)
	if led > notedBehind {
		p.timeline.note("behind", "%s passed %.1f s ago, with a leader for %.1f s: %s", v.digest, wall.Seconds(), led.Seconds(), said)
	}
}

// ask makes a Pod, for show, and returns the image that it would have, or what was said instead.
func (p *prober) ask(ctx context.Context, reference string) (anAnswer, string) {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	pod := gatePod(p.namespace, reference)
	err := p.client.Create(ctx, pod, client.DryRunAll)
	switch {
	case err == nil:
		return starts, pod.Spec.Containers[0].Image
	case strings.Contains(err.Error(), "ValidatingAdmissionPolicy 'revet-gate-"):
		return startsNot, err.Error()
	default:
		return noAnswer, err.Error()
	}
}

func gatePod(namespace, reference string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "try-"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: reference}}},
	}
}

func (p *prober) count(answer anAnswer, tag bool) {
	p.tries.mu.Lock()
	defer p.tries.mu.Unlock()
	p.tries.All++
	if answer == noAnswer {
		return
	}
	p.tries.Answered++
	if tag {
		p.tries.Tags++
	}
	if since, ok := p.server(); ok && time.Since(since) < soonAfter {
		p.tries.Restarted++
	}
}

// final tries everything once map and ledger are equal, and returns what is refused and should
// start. What starts and should not is noted like any other try.
func (p *prober) final(ctx context.Context, s *gateState) (refused []string, err error) {
	plain, ran, newest := plainDigests(s.entries), contentOf(s.images, s.gate.Name).ran, plainTags(s.entries)
	references := map[string]string{}
	for _, digest := range p.digests {
		references[referenceOf(digest)] = bare(digest)
	}
	for _, tag := range p.tags {
		references[tag] = newest[tag]
	}
	for reference, hex := range references {
		if plain[hex].expiresAbout(time.Now()) {
			continue
		}
		answer, pinned := p.try(ctx, reference)
		want := plainlyStarts(plain, ran, hex, time.Now())
		switch {
		case answer == noAnswer:
			return nil, fmt.Errorf("the API server did not answer about %s, with no fault going on", reference)
		case want && answer != starts:
			refused = append(refused, reference+" was refused, and should start")
		case !want && answer == starts, answer == starts && bare(digestIn(pinned)) != hex:
			p.tries.wrongly(fmt.Sprintf("%s was admitted as %s in the end; by the ledger %s is %s",
				reference, pinned, hex, plain[hex]))
		}
	}
	return refused, nil
}

package gate

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// from is a push to a stream that names hosts.
func from(stream string, hosts ...string) TagPush {
	return streamed("a", 1).with(func(p *TagPush) {
		p.Repository.Name, p.Repository.UID, p.Names = stream, stream, nil
		for _, host := range hosts {
			p.Names = append(p.Names, host+"/"+stream)
		}
	})
}

func namesOf(t *testing.T, pushes []TagPush) []string {
	t.Helper()
	r := rulesFor(t, "")
	return slices.Sorted(maps.Keys(r.Pins("Newest", pushes, find, nil, MaxTagBytes).Tags))
}

// A cluster without a registry shows whatever host a stream's owner wrote. A tag of such a stream
// says nothing of the tag of that name at the host, and the host serves no other stream.
func TestAStrangersHostServesNoStream(t *testing.T) {
	got := namesOf(t, []TagPush{from("grafana/grafana", "docker.io"), from("shop/web")})
	if len(got) != 0 {
		t.Errorf("pinned %v", got)
	}
	got = namesOf(t, []TagPush{from("grafana/grafana", "docker.io"), from("shop/web", serviceHost, routeHost)})
	want := []string{
		routeHost + "/grafana/grafana:1", routeHost + "/shop/web:1",
		serviceHost + "/grafana/grafana:1", serviceHost + "/shop/web:1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

// However many hosts the streams of one namespace name, those of others have no further names.
func TestHostsAreBounded(t *testing.T) {
	var pushes []TagPush
	for i := range 50 {
		pushes = append(pushes, from(fmt.Sprintf("evil/app%d", i), fmt.Sprintf("a%d.evil.svc:5000", i)))
	}
	for _, namespace := range []string{"a", "b"} {
		pushes = append(pushes, from(namespace+"/web", serviceHost, routeHost))
	}
	got := namesOf(t, pushes)
	if most := len(pushes) * maxHosts; len(got) > most {
		t.Errorf("%d tags have %d names, want at most %d", len(pushes), len(got), most)
	}
	for _, host := range []string{serviceHost, routeHost} {
		if !slices.Contains(got, host+"/a/web:1") {
			t.Errorf("a/web has no name of %s", host)
		}
	}
}

// However many tags stand for a digest, it is judged once: whoever pushes tags and indexes of one
// digest would otherwise pay with others' time.
func TestPinsAskOnceAboutADigest(t *testing.T) {
	for _, policy := range []v1alpha1.PinPolicy{v1alpha1.PinNewest, v1alpha1.PinLastPassed} {
		var pushes []TagPush
		for i := range 100 {
			pushes = append(pushes, pushed("c", int64(i), int64(i)).with(func(p *TagPush) { p.Tag = fmt.Sprint(i) }))
		}
		asked := 0
		r := rulesFor(t, "")
		got := r.Pins(policy, pushes, func(digest string) Finding { asked++; return find(digest) }, nil, MaxTagBytes)
		if len(got.Tags) != 100 || asked != 1 {
			t.Errorf("%s: %d tags, and asked %d times", policy, len(got.Tags), asked)
		}
	}
}

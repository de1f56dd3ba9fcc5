package platforms_test

import (
	"fmt"
	"math/rand/v2"
	"sort"
	"testing"

	"github.com/containerd/platforms"
	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/manifest"
	"go.podman.io/image/v5/types"

	"github.com/revet-dev/revet/pkg/image"
)

var (
	systems       = []string{"linux", "Linux", "windows", "darwin", "macos", "", "unknown"}
	architectures = []string{"amd64", "x86_64", "x86-64", "AMD64", "386", "i386", "arm", "armhf", "armel", "arm64", "aarch64", "ARM64", "s390x", "riscv64", "", "unknown"}
	variants      = []string{"", "v1", "v2", "v3", "5", "v5", "6", "v6", "7", "v7", "8", "v8", "v8.0", "v8.2", "v8.5", "9", "v9", "9.0", "v9.0", "v9.3", "V8", "rva23"}
	features      = [][]string{nil, nil, nil, {"x"}, {""}}
)

// every calls f for every combination of the names above.
func every(f func(ocispec.Platform)) {
	for _, os := range systems {
		for _, architecture := range architectures {
			for _, variant := range variants {
				f(ocispec.Platform{OS: os, Architecture: architecture, Variant: variant})
			}
		}
	}
}

func ours(p ocispec.Platform) image.Platform {
	out := image.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant, OSVersion: p.OSVersion}
	for _, f := range p.OSFeatures {
		out.OSFeatures += image.Features(f + ",")
	}
	return out
}

// Platforms have the names by which containerd compares them.
func TestNormalizeIsContainerds(t *testing.T) {
	every(func(p ocispec.Platform) {
		want := ours(platforms.Normalize(p))
		if p.OS == "" {
			want.OS = "" // containerd puts in the host's
		}
		if diff := cmp.Diff(want, ours(p).Normalize()); diff != "" {
			t.Errorf("%+v (-containerd +ours):\n%s", p, diff)
		}
	})
}

// hosts are the platforms that may be chosen, and those of the hosts that stand
// behind each: one that says no variant is of every variant.
func hosts() map[string][]ocispec.Platform {
	all := map[string][]ocispec.Platform{}
	for _, a := range []string{"amd64", "386", "arm", "arm64", "s390x", "riscv64"} {
		p := ocispec.Platform{OS: "linux", Architecture: a}
		all["linux/"+a] = append(all["linux/"+a], p)
		for _, v := range map[string][]string{
			"amd64": {"v1", "v2", "v3"}, "arm": {"v5", "v6", "v7", "v8"}, "arm64": {"v8", "v8.2", "v9", "v9.3"},
		}[a] {
			p.Variant = v
			all["linux/"+a] = append(all["linux/"+a], p)
			all["linux/"+a+"/"+v] = []ocispec.Platform{p}
			if a == "amd64" {
				// Runtimes do not find out the variant of such a host by themselves.
				all["linux/"+a+"/"+v] = append(all["linux/"+a+"/"+v], ocispec.Platform{OS: "linux", Architecture: a})
			}
		}
	}
	return all
}

// Whatever child of an index containerd or containers/image choose on a host of a
// chosen platform is one that is looked at.
func TestWhatRuntimesChooseIsTaken(t *testing.T) {
	const indexes = 4000
	r := rand.New(rand.NewPCG(1, 2))
	chosen, byFallback := 0, 0
	for range indexes {
		index := randomIndex(r)
		for name, behind := range hosts() {
			choice := image.Choose(parse(t, name), placesOf(index))
			for _, host := range behind {
				for runtime, i := range map[string]int{"containerd": byContainerd(host, index), "containers/image": byContainersImage(t, host, index)} {
					if i < 0 {
						continue
					}
					// It finds no other version than v8 by itself; who tells it of another
					// chooses that here as well.
					if runtime == "containers/image" && name == "linux/arm64" && host.Variant != "" && host.Variant != "v8" {
						continue
					}
					chosen++
					p := index[i]
					switch {
					case p == nil:
						// The configuration may be for any platform at all.
						other := image.Platform{OS: "plan9", Architecture: "amd64"}
						if runtime == "containers/image" && !choice.TakesUnplaced(other) {
							t.Fatalf("%s on %v takes the child %d without a platform of %v; for %s it is left out", runtime, host, i, show(index), name)
						}
						byFallback++
					case !choice.Takes(ours(*p)):
						t.Fatalf("%s on %v takes %+v of %v; for %s it is left out", runtime, host, *p, show(index), name)
					}
				}
			}
		}
	}
	if chosen < indexes || byFallback < 500 {
		t.Errorf("only %d children were chosen, %d without a platform: the test says little", chosen, byFallback)
	}
}

// What every runtime passes over is passed over, so that a choice costs no more
// than it must.
func TestWhatNoRuntimeChoosesIsLeftOut(t *testing.T) {
	places := []*image.Platform{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "386"}, {OS: "linux", Architecture: "arm64"}, {OS: "linux", Architecture: "arm", Variant: "v7"}, nil}
	for name, want := range map[string][]bool{
		"linux/amd64": {true, false, false, false}, "linux/arm64": {false, false, true, false},
		"linux/386": {false, true, false, false}, "linux/arm/v7": {false, false, false, true},
	} {
		choice := image.Choose(parse(t, name), places)
		var got []bool
		for _, p := range places[:4] {
			got = append(got, choice.Takes(*p))
		}
		if diff := cmp.Diff(want, got); diff != "" || choice.TakesUnplaced(image.Platform{OS: "plan9", Architecture: "amd64"}) {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func randomIndex(r *rand.Rand) []*ocispec.Platform {
	index := make([]*ocispec.Platform, 1+r.IntN(4))
	for i := range index {
		if r.IntN(5) == 0 {
			continue
		}
		index[i] = &ocispec.Platform{
			OS: systems[r.IntN(2)*r.IntN(len(systems))], Architecture: architectures[r.IntN(len(architectures))],
			Variant: variants[r.IntN(2)*r.IntN(len(variants))], OSFeatures: features[r.IntN(len(features))],
		}
	}
	return index
}

func placesOf(index []*ocispec.Platform) []*image.Platform {
	places := make([]*image.Platform, len(index))
	for i, p := range index {
		if p != nil {
			o := ours(*p)
			places[i] = &o
		}
	}
	return places
}

// byContainerd is the order of its images.Manifest: the best match first, and a
// child without a platform after all that match.
func byContainerd(host ocispec.Platform, index []*ocispec.Platform) int {
	only := platforms.Only(host)
	var matching []int
	for i, p := range index {
		if p == nil || only.Match(*p) {
			matching = append(matching, i)
		}
	}
	sort.SliceStable(matching, func(i, j int) bool {
		a, b := index[matching[i]], index[matching[j]]
		return a != nil && (b == nil || only.Less(*a, *b))
	})
	if len(matching) == 0 {
		return -1
	}
	return matching[0]
}

func byContainersImage(t *testing.T, host ocispec.Platform, index []*ocispec.Platform) int {
	t.Helper()
	var all []ocispec.Descriptor
	for i, p := range index {
		all = append(all, ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digestOf(i), Platform: p})
	}
	got, err := manifest.OCI1IndexFromComponents(all, nil).ChooseInstance(&types.SystemContext{
		OSChoice: host.OS, ArchitectureChoice: host.Architecture, VariantChoice: host.Variant,
	})
	if err != nil {
		return -1
	}
	for i := range index {
		if got == digestOf(i) {
			return i
		}
	}
	t.Fatalf("containers/image chose %s, which is none", got)
	return -1
}

func digestOf(i int) digest.Digest { return digest.FromString(fmt.Sprint(i)) }

func parse(t *testing.T, s string) image.Platform {
	t.Helper()
	var p image.Platform
	var parts [3]string
	n := 0
	for _, c := range s {
		if c == '/' {
			n++
			continue
		}
		parts[n] += string(c)
	}
	p.OS, p.Architecture, p.Variant = parts[0], parts[1], parts[2]
	return p
}

func show(index []*ocispec.Platform) []string {
	var all []string
	for _, p := range index {
		if p == nil {
			all = append(all, "none")
			continue
		}
		all = append(all, fmt.Sprintf("%+v", *p))
	}
	return all
}

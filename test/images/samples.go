package images

import (
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Verdict is how a run over a sample ends.
type Verdict string

// The verdicts. VerdictError stands for a run that fails.
const (
	VerdictPass  Verdict = "pass"
	VerdictFail  Verdict = "fail"
	VerdictError Verdict = "error"
)

// MaxAge is the age that the default rules allow.
const MaxAge = 365 * 24 * time.Hour

// Options change what a sample is built as.
type Options struct {
	// Now is when the image claims to have been built, shortly before.
	Now time.Time
	// Salt goes into a label, and so into every digest.
	Salt string
}

// Sample is an image, or something like it, to push.
type Sample struct {
	Name string
	// About says in a sentence what is special about it.
	About string
	// Verdict is what the default rules give.
	Verdict Verdict
	// Rules are the default rules that do not hold, each once.
	Rules []string
	// Reason is the typed reason of VerdictError.
	Reason string

	build func(Options) (artefact, error)
}

// artefact is what a sample is built to.
type artefact struct {
	what remote.Taggable
	// omit is a child of an index that the registry shall not have.
	omit *v1.Hash
}

// All returns every sample, the good one first.
func All() []Sample {
	return []Sample{Good(), Bad(), RootUser(), SecretInHistory(), Expired(), MultiArch(), BadChild(), Attested(), MissingChild(), CorruptedLayer(), NotAnImage()}
}

// RootUser is good but for its user.
func RootUser() Sample {
	return Sample{
		Name: "root-user", About: "a good image that runs as root", Verdict: VerdictFail, Rules: []string{"non-root"},
		build: func(o Options) (artefact, error) {
			return image(o, func(c *v1.ConfigFile) { good(c); c.Config.User = "root" })
		},
	}
}

// SecretInHistory is good but for a command that it was built by.
func SecretInHistory() Sample {
	return Sample{
		Name: "secret-in-history", About: "a good image with a secret in its history", Verdict: VerdictFail, Rules: []string{"no-secret-in-history"},
		build: func(o Options) (artefact, error) {
			return image(o, func(c *v1.ConfigFile) {
				good(c)
				c.History = append(c.History, v1.History{CreatedBy: "RUN |1 NPM_TOKEN=this-is-no-token /bin/sh -c npm ci", EmptyLayer: true})
			})
		},
	}
}

// Bomb is good and has a layer that unpacks to so many bytes of zeros. It is not
// among All, as making one of the size that harms takes seconds.
func Bomb(size int64) Sample {
	return Sample{
		Name: "bomb", About: "a good image with a layer of zeros, a thousandth of the size that it unpacks to", Verdict: VerdictError,
		Reason: "TooLarge",
		build: func(o Options) (artefact, error) {
			zeros, err := zerosLayer(size)
			if err != nil {
				return artefact{}, err
			}
			return image(o, good, zeros)
		},
	}
}

// Good passes every rule.
func Good() Sample {
	return Sample{
		Name: "good", About: "an image that passes every rule", Verdict: VerdictPass,
		build: func(o Options) (artefact, error) { return image(o, good) },
	}
}

// Bad fails every rule but the one about its age.
func Bad() Sample {
	return Sample{
		Name: "bad", About: "an image that runs as root, holds secrets and lacks a label", Verdict: VerdictFail,
		Rules: []string{"non-root", "no-secret-in-env", "no-secret-in-history", "required-labels"},
		build: func(o Options) (artefact, error) { return image(o, bad) },
	}
}

// Expired is good and a day too old.
func Expired() Sample {
	return Sample{
		Name: "expired", About: "a good image that was built a year and a day ago", Verdict: VerdictFail,
		Rules: []string{"not-too-old"},
		build: func(o Options) (artefact, error) {
			o.Now = o.Now.Add(-MaxAge - 24*time.Hour)
			return image(o, good)
		},
	}
}

// MultiArch is an index of good images.
func MultiArch() Sample {
	return Sample{
		Name: "multi-arch", About: "an index of two good images", Verdict: VerdictPass,
		build: func(o Options) (artefact, error) {
			return index(o, child{architecture: "amd64", edit: good}, child{architecture: "arm64", edit: good})
		},
	}
}

// BadChild is an index of which one image is bad.
func BadChild() Sample {
	return Sample{
		Name: "bad-child", About: "an index of a good and a bad image", Verdict: VerdictFail, Rules: Bad().Rules,
		build: func(o Options) (artefact, error) {
			return index(o, child{architecture: "amd64", edit: good}, child{architecture: "arm64", edit: bad})
		},
	}
}

// Attested is an index of a good image and a build attestation.
func Attested() Sample {
	return Sample{
		Name: "attested", About: "an index of a good image and a build attestation, as BuildKit makes it", Verdict: VerdictPass,
		build: attested,
	}
}

// MissingChild is an index that names an image which the registry has not.
func MissingChild() Sample {
	return Sample{
		Name: "missing-child", About: "an index that names an image which the registry does not have", Verdict: VerdictError,
		Reason: "ContentMissing",
		build: func(o Options) (artefact, error) {
			a, err := index(o, child{architecture: "amd64", edit: good}, child{architecture: "arm64", edit: good})
			if err != nil {
				return artefact{}, err
			}
			manifest, err := a.what.(v1.ImageIndex).IndexManifest()
			if err != nil {
				return artefact{}, err
			}
			a.omit = &manifest.Manifests[1].Digest
			return a, nil
		},
	}
}

// CorruptedLayer is an image with a layer that does not unpack to what its
// configuration says: the one corruption that registries let in.
func CorruptedLayer() Sample {
	return Sample{
		Name: "corrupted-layer", About: "an image with a layer that unpacks to something else than its configuration says", Verdict: VerdictError,
		Reason: "ContentCorrupted",
		build:  func(o Options) (artefact, error) { return image(o, good, misnamed{}) },
	}
}

// NotAnImage is an artefact.
func NotAnImage() Sample {
	return Sample{
		Name: "not-an-image", About: "an artefact that cannot run", Verdict: VerdictError,
		Reason: "NotAnImage",
		build:  notAnImage,
	}
}

package oci_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

const (
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	indexType    = "application/vnd.oci.image.index.v1+json"
	configType   = "application/vnd.oci.image.config.v1+json"
	layerType    = "application/vnd.oci.image.layer.v1.tar+gzip"
	intotoType   = "application/vnd.in-toto+json"
)

// shelf holds documents by digest.
type fixture map[image.Digest][]byte

func (s fixture) put(t *testing.T, document any) oci.Descriptor {
	t.Helper()
	raw, ok := document.([]byte)
	if !ok {
		var err error
		if raw, err = json.Marshal(document); err != nil {
			t.Fatal(err)
		}
	}
	d, err := image.ParseDigest(fmt.Sprintf("sha256:%x", sha256.Sum256(raw)))
	if err != nil {
		t.Fatal(err)
	}
	s[d] = raw
	return oci.Descriptor{Digest: d, Size: int64(len(raw))}
}

// asBlob is the entry that says that a shelf has d as a blob only.
func asBlob(d image.Digest) image.Digest {
	mark, err := image.ParseDigest(fmt.Sprintf("sha256:%x", sha256.Sum256([]byte("blob "+d.String()))))
	if err != nil {
		panic(err)
	}
	return mark
}

// blob puts what registries have as a blob only.
func (s fixture) blob(t *testing.T, raw []byte, mediaType string) oci.Descriptor {
	t.Helper()
	d := s.put(t, append([]byte(nil), raw...))
	s[asBlob(d.Digest)], d.MediaType = nil, mediaType
	return d
}

func (s fixture) read(_ context.Context, kind oci.Kind, d oci.Descriptor, limit int64) ([]byte, error) {
	raw, ok := s[d.Digest]
	if _, blob := s[asBlob(d.Digest)]; !ok || blob && kind == oci.KindManifest {
		return nil, oci.Errorf(oci.ReasonMissing, string(kind)+" "+d.Digest.String(), "it is not there")
	}
	if int64(len(raw)) > limit {
		return nil, oci.Errorf(oci.ReasonTooLarge, string(kind), "limit %d", limit)
	}
	return raw, nil
}

type blobObject map[string]any

// image puts an image with one layer of a media type and returns it. Only a layer
// that is called one is an archive.
func (s fixture) image(t *testing.T, os, layer string) oci.Descriptor {
	t.Helper()
	raw := []byte("payload of " + os)
	if layer == layerType {
		raw = tarOf(os)
	}
	return s.imageOf(t, os, layer, raw)
}

// archive returns the beginning of a tar archive.
func tarOf(name string) []byte {
	block := make([]byte, 1024)
	copy(block, name)
	copy(block[257:], "ustar\x0000")
	return block
}

func (s fixture) imageOf(t *testing.T, os, layer string, raw []byte) oci.Descriptor {
	t.Helper()
	diff := s.put(t, []byte("unpacked "+os+layer))
	config := s.put(t, blobObject{"os": os, "architecture": "amd64", "rootfs": blobObject{"type": "layers", "diff_ids": []string{diff.Digest.String()}}})
	config.MediaType = configType
	blob := s.put(t, raw)
	blob.MediaType = layer
	d := s.put(t, blobObject{"schemaVersion": 2, "mediaType": manifestType, "config": config, "layers": []any{blob}})
	d.MediaType = manifestType
	return d
}

// artefact puts what has a config of another type than an image's.
func (s fixture) artefact(t *testing.T, configType string) oci.Descriptor {
	t.Helper()
	config := s.put(t, blobObject{"of": configType})
	config.MediaType = configType
	blob := s.put(t, tarOf(configType))
	blob.MediaType = "application/x-artefact"
	d := s.put(t, blobObject{"schemaVersion": 2, "mediaType": manifestType, "config": config, "layers": []any{blob}})
	d.MediaType = manifestType
	return d
}

func (s fixture) index(t *testing.T, children ...oci.Descriptor) oci.Descriptor {
	t.Helper()
	return s.put(t, blobObject{"schemaVersion": 2, "mediaType": indexType, "manifests": children})
}

func onPlatform(d oci.Descriptor, os, architecture string) oci.Descriptor {
	d.Platform = &oci.Platform{OS: os, Architecture: architecture}
	return d
}

// What a digest leads to, and whether it can run, follows from the bytes; a
// name or a platform alone exempts nothing.
func TestWalk(t *testing.T) {
	type outcome struct {
		Images, Attachments []string
		Missing             int
		Reason              oci.Reason
		Says                string
	}
	tests := []struct {
		name string
		root func(*testing.T, fixture) oci.Descriptor
		want outcome
	}{{
		name: "an image is itself",
		root: func(t *testing.T, s fixture) oci.Descriptor { return s.image(t, "linux", layerType) },
		want: outcome{Images: []string{"linux/amd64"}},
	}, {
		name: "an index is all that it names",
		root: func(t *testing.T, s fixture) oci.Descriptor {
			return s.index(t, onPlatform(s.image(t, "linux", layerType), "linux", "amd64"), onPlatform(s.image(t, "windows", layerType), "windows", "amd64"))
		},
		want: outcome{Images: []string{"linux/amd64", "windows/amd64"}},
	}, {
		name: "an index within an index is followed",
		root: func(t *testing.T, s fixture) oci.Descriptor {
			return s.index(t, s.index(t, s.image(t, "linux", layerType)))
		},
		want: outcome{Images: []string{"linux/amd64"}},
	}, {
		name: "an image named twice counts once",
		root: func(t *testing.T, s fixture) oci.Descriptor {
			i := s.image(t, "linux", layerType)
			return s.index(t, onPlatform(i, "linux", "amd64"), onPlatform(i, "linux", "386"), i)
		},
		want: outcome{Images: []string{"linux/amd64"}},
	}, {
		name: "a build attestation beside an image is an attachment",
		root: func(t *testing.T, s fixture) oci.Descriptor {
			return s.index(t, onPlatform(s.image(t, "linux", layerType), "linux", "amd64"), onPlatform(s.image(t, "unknown", intotoType), "unknown", "unknown"))
		},
		want: outcome{Images: []string{"linux/amd64"}, Attachments: []string{intotoType}},
	}, {
		name: "an image under the platform unknown/unknown is an image all the same",
		root: func(t *testing.T, s fixture) oci.Descriptor {
			return s.index(t, onPlatform(s.image(t, "linux", layerType), "unknown", "unknown"))
		},
		want: outcome{Images: []string{"linux/amd64"}},
	}, {
		name: "an odd layer that is an archive makes an image all the same",
		root: func(t *testing.T, s fixture) oci.Descriptor {
			return s.imageOf(t, "linux", "application/x-whatever", tarOf("bin"))
		},
		want: outcome{Images: []string{"linux/amd64"}},
	}, {
		name: "an archive that is called an attestation is an image, under whatever platform",
		root: func(t *testing.T, s fixture) oci.Descriptor {
			return s.index(t, s.imageOf(t, "linux", intotoType, tarOf("a")), onPlatform(s.imageOf(t, "plan9", intotoType, tarOf("b")), "unknown", "unknown"),
				onPlatform(s.imageOf(t, "darwin", intotoType, tarOf("c")), "", ""), onPlatform(s.imageOf(t, "windows", intotoType, tarOf("d")), "linux", "arm64"))
		},
		want: outcome{Images: []string{"linux/amd64", "plan9/amd64", "darwin/amd64", "windows/amd64"}},
	}, {
		name: "a payload under a real platform is nothing that runs",
		root: func(t *testing.T, s fixture) oci.Descriptor {
			return s.index(t, onPlatform(s.image(t, "linux", layerType), "linux", "amd64"), onPlatform(s.image(t, "linux", intotoType), "linux", "arm64"))
		},
		want: outcome{Images: []string{"linux/amd64"}, Attachments: []string{intotoType}},
	}, {
		name: "an artefact under an empty platform, and one without any, is an attachment",
		root: func(t *testing.T, s fixture) oci.Descriptor {
			return s.index(t, onPlatform(s.image(t, "linux", layerType), "linux", "amd64"), onPlatform(s.artefact(t, "application/x-a"), "", ""), s.artefact(t, "application/x-b"))
		},
		want: outcome{Images: []string{"linux/amd64"}, Attachments: []string{"application/x-artefact", "application/x-artefact"}},
	}, {
		name: "an attestation too large to be read as a proof is an attachment by its platforms",
		root: func(t *testing.T, s fixture) oci.Descriptor {
			return s.index(t, onPlatform(s.image(t, "linux", layerType), "linux", "amd64"), onPlatform(s.imageOf(t, "unknown", intotoType, make([]byte, 2<<20)), "unknown", "unknown"))
		},
		want: outcome{Images: []string{"linux/amd64"}, Attachments: []string{intotoType}},
	}, {
		name: "the same under a platform that hosts have is an image",
		root: func(t *testing.T, s fixture) oci.Descriptor {
			return s.index(t, onPlatform(s.imageOf(t, "unknown", intotoType, make([]byte, 2<<20)), "linux", "amd64"))
		},
		want: outcome{Images: []string{"unknown/amd64"}},
	}, {
		name: "an attestation that is gone is told",
		root: func(t *testing.T, s fixture) oci.Descriptor {
			gone := s.image(t, "unknown", intotoType)
			delete(s, gone.Digest)
			return s.index(t, onPlatform(s.image(t, "linux", layerType), "linux", "amd64"), onPlatform(gone, "unknown", "unknown"))
		},
		want: outcome{Images: []string{"linux/amd64"}, Missing: 1},
	}, {
		name: "a child that is gone and has no platform could be run",
		root: func(t *testing.T, s fixture) oci.Descriptor {
			gone := s.image(t, "unknown", intotoType)
			delete(s, gone.Digest)
			return s.index(t, onPlatform(s.image(t, "linux", layerType), "linux", "amd64"), gone)
		},
		want: outcome{Reason: oci.ReasonMissing, Says: "it is not there"},
	}, {
		name: "an index of attestations that are gone is not known to be none",
		root: func(t *testing.T, s fixture) oci.Descriptor {
			gone := s.image(t, "unknown", intotoType)
			delete(s, gone.Digest)
			return s.index(t, onPlatform(gone, "unknown", "unknown"))
		},
		want: outcome{Reason: oci.ReasonMissing, Says: "the registry has nothing that it names"},
	}, {
		name: "a cache of BuildKit, an index of blobs, is no image",
		root: func(t *testing.T, s fixture) oci.Descriptor {
			layer, config := s.blob(t, []byte("\x1f\x8b layer"), layerType), s.blob(t, []byte(`{"layers":[{"blob":"x"}]}`), "application/vnd.buildkit.cacheconfig.v0")
			return s.index(t, layer, config)
		},
		want: outcome{Reason: oci.ReasonNotAnImage, Says: "names no image"},
	}, {
		name: "a blob too large to be a manifest is none",
		root: func(t *testing.T, s fixture) oci.Descriptor {
			return s.index(t, s.blob(t, append([]byte("{"), make([]byte, oci.MaxManifest)...), layerType))
		},
		want: outcome{Reason: oci.ReasonNotAnImage, Says: "names no image"},
	}, {
		name: "the same beside an image cannot be kept",
		root: func(t *testing.T, s fixture) oci.Descriptor {
			return s.index(t, s.image(t, "linux", layerType), s.blob(t, append([]byte("{"), make([]byte, oci.MaxManifest)...), layerType))
		},
		want: outcome{Reason: oci.ReasonTooLarge, Says: "4194304"},
	}, {
		name: "a blob that could be read as a manifest is refused",
		root: func(t *testing.T, s fixture) oci.Descriptor {
			return s.index(t, s.blob(t, []byte(`{"schemaVersion":2,"manifests":[]}`), layerType))
		},
		want: outcome{Reason: oci.ReasonUnreadable, Says: "ambiguous"},
	}, {
		name: "an image that an index calls a layer is refused",
		root: func(t *testing.T, s fixture) oci.Descriptor {
			d := s.image(t, "linux", layerType)
			d.MediaType = layerType
			return s.index(t, d)
		},
		want: outcome{Reason: oci.ReasonUnreadable, Says: "ambiguous"},
	}, {
		name: "a blob that is gone is missing",
		root: func(t *testing.T, s fixture) oci.Descriptor {
			d := s.blob(t, []byte("\x1f\x8b layer"), layerType)
			delete(s, d.Digest)
			return s.index(t, d)
		},
		want: outcome{Reason: oci.ReasonMissing, Says: "it is not there"},
	}, {
		name: "a directory pushed with ORAS is no image",
		root: func(t *testing.T, s fixture) oci.Descriptor {
			c := s.put(t, blobObject{})
			c.MediaType = "application/vnd.oci.empty.v1+json"
			l := s.put(t, tarOf("dir"))
			l.MediaType = layerType
			return s.put(t, blobObject{"schemaVersion": 2, "config": c, "layers": []any{l}})
		},
		want: outcome{Reason: oci.ReasonNotAnImage, Says: "oci.empty"},
	}, {
		name: "a long list of referrers is no image",
		root: func(t *testing.T, s fixture) oci.Descriptor {
			var all []oci.Descriptor
			for i := range 1000 {
				all = append(all, s.artefact(t, fmt.Sprintf("application/x-%d", i)))
			}
			return s.index(t, all...)
		},
		want: outcome{Reason: oci.ReasonNotAnImage, Says: "names no image"},
	}, {
		name: "an image beside more artefacts than are kept is refused",
		root: func(t *testing.T, s fixture) oci.Descriptor {
			all := []oci.Descriptor{s.image(t, "linux", layerType)}
			for i := range 300 {
				all = append(all, s.artefact(t, fmt.Sprintf("application/x-%d", i)))
			}
			return s.index(t, all...)
		},
		want: outcome{Reason: oci.ReasonTooLarge, Says: "more than 256 manifests"},
	}, {
		name: "indexes that name each other's children over and over are refused",
		root: func(t *testing.T, s fixture) oci.Descriptor {
			var all []oci.Descriptor
			inner := s.index(t, slices.Repeat([]oci.Descriptor{s.artefact(t, "application/x-a")}, 100)...)
			for range 100 {
				all = append(all, inner)
			}
			return s.index(t, all...)
		},
		want: outcome{Reason: oci.ReasonTooLarge, Says: "more than 4096 manifests"},
	}, {
		name: "an attachment that a later descriptor gives a platform is no image either",
		root: func(t *testing.T, s fixture) oci.Descriptor {
			odd := s.image(t, "linux", intotoType)
			return s.index(t, s.image(t, "linux", layerType), odd, onPlatform(odd, "linux", "amd64"))
		},
		want: outcome{Images: []string{"linux/amd64"}, Attachments: []string{intotoType}},
	}, {
		name: "an attachment by its platform that a later descriptor gives another is looked at",
		root: func(t *testing.T, s fixture) oci.Descriptor {
			odd := s.imageOf(t, "unknown", layerType, tarOf("x"))
			return s.index(t, onPlatform(odd, "unknown", "unknown"), onPlatform(odd, "linux", "amd64"))
		},
		want: outcome{Images: []string{"unknown/amd64"}, Attachments: []string{layerType}},
	}, {
		name: "an index of attachments only is no image",
		root: func(t *testing.T, s fixture) oci.Descriptor { return s.index(t, s.image(t, "unknown", intotoType)) },
		want: outcome{Reason: oci.ReasonNotAnImage, Says: "no image that can run"},
	}, {
		name: "an empty index is no image",
		root: func(t *testing.T, s fixture) oci.Descriptor { return s.index(t, []oci.Descriptor{}...) },
		want: outcome{Reason: oci.ReasonNotAnImage, Says: "names no image"},
	}, {
		name: "an attestation by itself is no image",
		root: func(t *testing.T, s fixture) oci.Descriptor { return s.image(t, "unknown", intotoType) },
		want: outcome{Reason: oci.ReasonNotAnImage, Says: "none of its layers is an archive"},
	}, {
		name: "an artefact is no image",
		root: func(t *testing.T, s fixture) oci.Descriptor {
			c := s.put(t, blobObject{})
			c.MediaType = "application/vnd.cncf.helm.config.v1+json"
			return s.put(t, blobObject{"schemaVersion": 2, "config": c, "layers": []any{}})
		},
		want: outcome{Reason: oci.ReasonNotAnImage, Says: "helm.config"},
	}, {
		name: "a child that is not there is missing",
		root: func(t *testing.T, s fixture) oci.Descriptor {
			gone := s.image(t, "plan9", layerType)
			delete(s, gone.Digest)
			return s.index(t, s.image(t, "linux", layerType), onPlatform(gone, "plan9", "amd64"))
		},
		want: outcome{Reason: oci.ReasonMissing, Says: "of index sha256:"},
	}, {
		name: "what reads as an index and as an image is refused",
		root: func(t *testing.T, s fixture) oci.Descriptor {
			i := s.image(t, "linux", layerType)
			return s.put(t, blobObject{"schemaVersion": 2, "manifests": []any{i}, "config": i, "layers": []any{}})
		},
		want: outcome{Reason: oci.ReasonUnreadable, Says: "ambiguous"},
	}, {
		name: "an image that calls itself an index is refused",
		root: func(t *testing.T, s fixture) oci.Descriptor {
			return s.put(t, blobObject{"schemaVersion": 2, "mediaType": indexType, "config": s.image(t, "linux", layerType), "layers": []any{}})
		},
		want: outcome{Reason: oci.ReasonUnreadable, Says: "ambiguous"},
	}, {
		name: "a child that is named as something else is refused",
		root: func(t *testing.T, s fixture) oci.Descriptor {
			child := s.image(t, "linux", layerType)
			child.MediaType = indexType
			return s.index(t, child)
		},
		want: outcome{Reason: oci.ReasonUnreadable, Says: "ambiguous"},
	}, {
		name: "schema version 1 is refused with the cure",
		root: func(t *testing.T, s fixture) oci.Descriptor {
			return s.put(t, blobObject{"schemaVersion": 1, "fsLayers": []any{}})
		},
		want: outcome{Reason: oci.ReasonUnreadable, Says: "build and push the image again"},
	}, {
		name: "what follows the document is refused",
		root: func(t *testing.T, s fixture) oci.Descriptor {
			i := s.image(t, "linux", layerType)
			return s.put(t, append(append([]byte{}, s[i.Digest]...), []byte(` {"schemaVersion":2}`)...))
		},
		want: outcome{Reason: oci.ReasonUnreadable, Says: "more data follows"},
	}, {
		name: "HTML is no manifest",
		root: func(t *testing.T, s fixture) oci.Descriptor { return s.put(t, []byte("<html>login</html>")) },
		want: outcome{Reason: oci.ReasonUnreadable, Says: "not a manifest"},
	}, {
		name: "a digest that is none is refused",
		root: func(t *testing.T, s fixture) oci.Descriptor {
			return s.put(t, []byte(`{"schemaVersion":2,"config":{"mediaType":"`+configType+`","digest":"sha256:../../x","size":1},"layers":[]}`))
		},
		want: outcome{Reason: oci.ReasonUnreadable, Says: "not 64 lower-case"},
	}, {
		name: "content without a digest is refused",
		root: func(t *testing.T, s fixture) oci.Descriptor {
			return s.put(t, []byte(`{"schemaVersion":2,"config":{"mediaType":"`+configType+`","size":1},"layers":[]}`))
		},
		want: outcome{Reason: oci.ReasonUnreadable, Says: "without a digest"},
	}, {
		name: "fewer diff_ids than layers are refused",
		root: func(t *testing.T, s fixture) oci.Descriptor {
			c := s.put(t, blobObject{"os": "linux", "architecture": "amd64", "rootfs": blobObject{"diff_ids": []string{}}})
			c.MediaType = configType
			l := s.put(t, []byte("layer"))
			l.MediaType = layerType
			return s.put(t, blobObject{"schemaVersion": 2, "config": c, "layers": []any{l}})
		},
		want: outcome{Reason: oci.ReasonUnreadable, Says: "0 diff_ids for 1 layers"},
	}, {
		name: "indexes nested too deep are refused",
		root: func(t *testing.T, s fixture) oci.Descriptor {
			d := s.image(t, "linux", layerType)
			for range 5 {
				d = s.index(t, d)
			}
			return d
		},
		want: outcome{Reason: oci.ReasonTooLarge, Says: "nested"},
	}, {
		name: "an index of too many manifests is refused",
		root: func(t *testing.T, s fixture) oci.Descriptor {
			var all []oci.Descriptor
			for i := range 300 {
				all = append(all, s.image(t, fmt.Sprintf("os%d", i), layerType))
			}
			return s.index(t, all...)
		},
		want: outcome{Reason: oci.ReasonTooLarge, Says: "more than 256 manifests"},
	}, {
		name: "a configuration of too many bytes is not read",
		root: func(t *testing.T, s fixture) oci.Descriptor {
			c := s.put(t, blobObject{})
			c.MediaType, c.Size = configType, oci.MaxConfig+1
			return s.put(t, blobObject{"schemaVersion": 2, "config": c, "layers": []any{}})
		},
		want: outcome{Reason: oci.ReasonTooLarge, Says: "8388609 bytes"},
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := fixture{}
			root := tt.root(t, s)
			tree, err := oci.Walk(t.Context(), root.Digest, nil, s.read)
			var got outcome
			for _, i := range tree.Images {
				got.Images = append(got.Images, i.Config.String())
			}
			for _, a := range tree.Attachments {
				got.Attachments = append(got.Attachments, a.Blobs[len(a.Blobs)-1].MediaType)
			}
			got.Missing = len(tree.MissingAttachments)
			if e := (*oci.Error)(nil); errors.As(err, &e) {
				got.Reason = e.Reason
				if strings.Contains(err.Error(), tt.want.Says) {
					got.Says = tt.want.Says
				} else {
					got.Says = err.Error()
				}
			} else if err != nil {
				t.Fatalf("error without a reason: %v", err)
			} else if tree.Root.Digest != root.Digest || tree.Root.MediaType == "" {
				t.Errorf("root is %+v, want the digest %s and a media type", tree.Root, root.Digest)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
		})
	}
}

// Claimed sizes that together pass what a number holds never make a small image.
func TestSizeNeverWrapsRound(t *testing.T) {
	huge := oci.Layer{Descriptor: oci.Descriptor{Size: 1<<63 - 1}}
	if got := (oci.Image{Layers: []oci.Layer{huge, huge, {Descriptor: oci.Descriptor{Size: 12}}}}).Size(); got != 1<<63-1 {
		t.Errorf("size is %d", got)
	}
}

package layers_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/revet-dev/revet/pkg/pipeline/layers"
	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

// great is an image of 48,000 small files and a large program, 350 MB unpacked.
func great(b *testing.B) (blobs, oci.Image) {
	b.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	words := make([]byte, 1<<20)
	for i := range words {
		words[i] = "etaoinshrdlu \n.;{}()"[random.IntN(20)]
	}
	var all []stored
	for layer := range 3 {
		var raw bytes.Buffer
		z, err := gzip.NewWriterLevel(&raw, gzip.BestSpeed)
		if err != nil {
			b.Fatal(err)
		}
		w := tar.NewWriter(z)
		put := func(name string, size int) {
			if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(size)}); err != nil {
				b.Fatal(err)
			}
			for size > 0 {
				n := min(size, len(words))
				if _, err := w.Write(words[:n]); err != nil {
					b.Fatal(err)
				}
				size -= n
			}
		}
		for i := range 16_000 {
			put(fmt.Sprintf("srv/node_modules/package-%d-%d/lib/file-%d.js", layer, i/20, i), 2000+random.IntN(4000))
		}
		put(fmt.Sprintf("usr/bin/program-%d", layer), 50<<20)
		if err := errors.Join(w.Close(), z.Close()); err != nil {
			b.Fatal(err)
		}
		all = append(all, stored{gzipType, raw.Bytes()})
	}
	return stack(all...)
}

func BenchmarkCheck(b *testing.B) {
	from, img := great(b)
	b.ResetTimer()
	for b.Loop() {
		if found, err := layers.Check(b.Context(), from, img, layers.Limits{}); err != nil || len(found) > 0 {
			b.Fatal(found, err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	from, img := great(b)
	b.ResetTimer()
	for b.Loop() {
		tree, err := layers.Open(b.Context(), from, img, layers.Limits{}, b.TempDir())
		if err != nil {
			b.Fatal(err)
		}
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		b.ReportMetric(float64(m.HeapAlloc)/(1<<20), "MiB-held")
		if err := tree.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

package image_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"strings"
	"testing"

	"github.com/revet-dev/revet/pkg/image"
)

// tarOf returns an archive of empty files.
func tarOf(t *testing.T, format tar.Format, names ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range names {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Format: format}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipped(t *testing.T, raw []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// oldTar returns an archive of the form that has no magic number.
func oldTar(signed bool) []byte {
	block := make([]byte, 1024)
	copy(block, "b\xe4d")
	copy(block[100:], "0000644\x000000000\x000000000\x0000000000000\x0000000000000\x00        ")
	sum := 0
	for _, b := range block[:512] {
		if signed {
			sum += int(int8(b))
		} else {
			sum += int(b)
		}
	}
	copy(block[148:], []byte{'0' + byte(sum>>15&7), '0' + byte(sum>>12&7), '0' + byte(sum>>9&7), '0' + byte(sum>>6&7), '0' + byte(sum>>3&7), '0' + byte(sum&7), 0, ' '})
	return block
}

// summed returns oldTar(true) with its sum written in another way that Go reads.
func summed(sum string) []byte {
	block := oldTar(true)
	copy(block[148:156], sum)
	return block
}

// unsummed returns an archive whose header sums to 0, which Go reads in a field
// that is empty.
func unsummed() []byte {
	block := oldTar(true)
	copy(block[148:156], "        ")
	sum := 0
	for _, b := range block[:512] {
		sum += int(int8(b))
	}
	for i := 3; sum != 0; i++ {
		step := min(sum, 128)
		block[i], sum = byte(-step), sum-step
	}
	return block
}

// Whatever a runtime unpacks or mounts may be an archive; a payload is none.
func TestMayBeArchive(t *testing.T) {
	statement := []byte(`{"_type":"https://in-toto.io/Statement/v1"}` + strings.Repeat(" ", 4000))
	noise := make([]byte, 1500)
	for i := range noise {
		noise[i] = byte(i*i*i>>3 ^ i*31 | 1)
	}
	deep := statement
	for range 6 {
		deep = gzipped(t, deep)
	}
	erofs := make([]byte, 4096)
	copy(erofs, "boot code")
	copy(erofs[1024:], "\xe2\xe1\xf5\xe0")
	for _, test := range []struct {
		name string
		raw  []byte
		want bool
	}{
		{"a tar", tarOf(t, tar.FormatUSTAR, "bin/sh"), true},
		{"a tar with extended headers", tarOf(t, tar.FormatPAX, "bin/"+strings.Repeat("x", 300)), true},
		{"a tar of GNU", tarOf(t, tar.FormatGNU, "bin/"+strings.Repeat("x", 300)), true},
		{"a tar of the oldest form", oldTar(false), true},
		{"a tar of the oldest form, summed signed", oldTar(true), true},
		{"a tar of the oldest form, with rubbish after the sum", summed(string(oldTar(true)[148:154]) + "\x00x"), true},
		{"a tar of the oldest form, with the sum begun by zeros", summed("\x00 " + string(oldTar(true)[148:154])), true},
		{"a tar of the oldest form, without a sum", unsummed(), true},
		{"the same under gzip", gzipped(t, unsummed()), true},
		{"a header whose sum is wrong", summed("0000001\x00"), false},
		{"an empty tar", tarOf(t, tar.FormatUSTAR), true},
		{"an empty tar that ends too early", make([]byte, 512), true},
		{"nothing at all, which is read as an empty tar", nil, true},
		{"a tar under gzip", gzipped(t, tarOf(t, tar.FormatUSTAR, "bin/sh")), true},
		{"an empty tar under gzip", gzipped(t, tarOf(t, tar.FormatUSTAR)), true},
		{"nothing under gzip", gzipped(t, nil), true},
		{"a tar under gzip twice", gzipped(t, gzipped(t, tarOf(t, tar.FormatUSTAR, "bin/sh"))), true},
		{"gzip that breaks off", gzipped(t, statement)[:20], true},
		{"gzip that breaks off after a part of a payload", gzipped(t, noise)[:600], true},
		{"gzip in gzip without an end", deep, true},
		{"zstd", []byte("\x28\xb5\x2f\xfd rest"), true},
		{"a skippable frame of zstd", []byte("\x5a\x2a\x4d\x18 rest"), true},
		{"bzip2", []byte("BZh91AY"), true},
		{"xz", []byte("\xfd7zXZ\x00 rest"), true},
		{"a file system of EROFS", erofs, true},
		{"a file system of SquashFS", []byte("hsqs rest"), true},
		{"JSON", statement, false},
		{"JSON under gzip", gzipped(t, statement), false},
		{"a signature's payload", []byte(`{"critical":{"identity":{"docker-reference":""}}}`), false},
		{"a program", append([]byte("\x7fELF"), make([]byte, 2000)...), false},
		{"an archive of zip, which no runtime unpacks", append([]byte("PK\x03\x04"), make([]byte, 2000)...), false},
		{"a few zeros, which no tar ends with", make([]byte, 511), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := image.MayBeArchive(test.raw); got != test.want {
				t.Errorf("got %t, want %t", got, test.want)
			}
		})
	}
}

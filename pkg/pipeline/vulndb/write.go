package vulndb

import (
	"archive/zip"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/osv"
)

// Records are what a layer is made of. Each is read twice, so that no more than
// one has to be in memory.
type Records interface {
	Len() int
	// Name says, for messages, where record i is from.
	Name(i int) string
	Read(i int) ([]byte, error)
}

// entry is a record before it is written.
type entry struct {
	at    int // in Records
	id    string
	names []string
	place place
}

// Write writes the layer of an ecosystem to w and returns what is in it. Records
// that tell of no package of the ecosystem are left out; up to maxUnreadable of
// those that are no records are left out and counted, and more are an error. A
// record that claims to be newer than now does not make the database newer.
func Write(ctx context.Context, w io.Writer, ecosystem string, records Records, maxUnreadable int, now time.Time) (Ecosystem, error) {
	e := Ecosystem{Name: ecosystem}
	if err := osv.CheckBase(ecosystem); err != nil {
		return e, err
	}
	entries, err := collect(ctx, &e, records, maxUnreadable, now)
	if err != nil || len(entries) == 0 {
		return e, err
	}
	out := &counted{w: w, sum: sha256.New()}
	z := zip.NewWriter(out)
	blocks, err := writeBlocks(ctx, z, records, entries)
	if err != nil {
		return e, err
	}
	if e.Packages, err = writeIndex(z, ecosystem, entries, blocks); err != nil {
		return e, err
	}
	if err := z.Close(); err != nil {
		return e, fmt.Errorf("write layer: %w", err)
	}
	e.Size = out.n
	e.Digest, err = image.ParseDigest("sha256:" + hex.EncodeToString(out.sum.Sum(nil)))
	return e, err
}

// collect reads all records once and sorts those to write: by package, so that
// what is read together lies together.
func collect(ctx context.Context, e *Ecosystem, records Records, maxUnreadable int, now time.Time) ([]entry, error) {
	if records.Len() > MaxRecords {
		return nil, fmt.Errorf("ecosystem %s has %d records, more than %d", e.Name, records.Len(), MaxRecords)
	}
	var entries []entry
	seen := map[string]int{}
	for i := range records.Len() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		raw, err := records.Read(i)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", records.Name(i), err)
		}
		r, names, err := parse(raw, e.Name)
		if err != nil {
			if e.Unreadable++; e.Unreadable > maxUnreadable {
				return nil, fmt.Errorf("%s: %w; its vulnerability would not be found; correct or remove it, or allow more than %d by --max-unreadable",
					records.Name(i), err, maxUnreadable)
			}
			continue
		}
		if len(names) == 0 {
			continue
		}
		if before, ok := seen[r.ID]; ok {
			return nil, fmt.Errorf("record %s is there twice: as %s and as %s; remove one", r.ID, records.Name(before), records.Name(i))
		}
		seen[r.ID] = i
		if m := r.Modified.UTC().Truncate(time.Second); m.After(e.Modified) && !m.After(now) {
			e.Modified = m
		}
		entries = append(entries, entry{at: i, id: r.ID, names: names})
	}
	e.Records = len(entries)
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.names[0], b.names[0]), cmp.Compare(a.id, b.id))
	})
	return entries, nil
}

// parse reads a record, and the names of its packages.
func parse(raw []byte, ecosystem string) (osv.Record, []string, error) {
	r, err := osv.Parse(raw)
	if err != nil {
		return r, nil, err
	}
	names := namesIn(r, ecosystem)
	for _, name := range names {
		if len(name) > maxName || !utf8.ValidString(name) {
			return r, nil, fmt.Errorf("record %s: a package is named %.80q, which is no name", r.ID, name)
		}
	}
	return r, names, nil
}

// writeBlocks writes the records in order and notes where each is.
func writeBlocks(ctx context.Context, z *zip.Writer, records Records, entries []entry) (int, error) {
	var block bytes.Buffer
	blocks, lines := 0, 0
	flush := func() error {
		if lines == 0 {
			return nil
		}
		// Without a time: it would be in the digest.
		w, err := z.CreateHeader(&zip.FileHeader{Name: blockPrefix + strconv.Itoa(blocks), Method: zip.Deflate})
		if err == nil {
			_, err = w.Write(block.Bytes())
		}
		block.Reset()
		blocks, lines = blocks+1, 0
		return err
	}
	for i := range entries {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		raw, err := records.Read(entries[i].at)
		if err != nil {
			return 0, fmt.Errorf("read %s: %w", records.Name(entries[i].at), err)
		}
		entries[i].place = place{blocks, lines}
		if err := json.Compact(&block, raw); err != nil {
			return 0, fmt.Errorf("%s: %w", records.Name(entries[i].at), err)
		}
		block.WriteByte('\n')
		if lines++; block.Len() >= blockSize {
			if err := flush(); err != nil {
				return 0, fmt.Errorf("write layer: %w", err)
			}
		}
	}
	if err := flush(); err != nil {
		return 0, fmt.Errorf("write layer: %w", err)
	}
	if blocks > maxBlocks {
		return 0, fmt.Errorf("the records take %d blocks, more than %d", blocks, maxBlocks)
	}
	return blocks, nil
}

// writeIndex writes where the records of each package are, and returns how many
// packages there are.
func writeIndex(z *zip.Writer, ecosystem string, entries []entry, blocks int) (int, error) {
	byName := map[string][]place{}
	for _, e := range entries {
		for _, name := range e.names {
			byName[name] = append(byName[name], e.place)
		}
	}
	names := make([]string, 0, len(byName))
	for name := range byName {
		names = append(names, name)
	}
	slices.Sort(names)
	w, err := z.CreateHeader(&zip.FileHeader{Name: indexName, Method: zip.Deflate})
	if err != nil {
		return 0, fmt.Errorf("write index: %w", err)
	}
	line, err := json.Marshal(header{Format, ecosystem, len(entries), len(names), blocks})
	if err != nil {
		return 0, fmt.Errorf("encode index: %w", err)
	}
	line = append(line, '\n')
	for _, name := range names {
		if _, err := w.Write(line); err != nil {
			return 0, fmt.Errorf("write index: %w", err)
		}
		line = strconv.AppendQuote(line[:0], name)
		for _, p := range byName[name] {
			line = append(line, ' ')
			line = strconv.AppendInt(line, int64(p.block), 10)
			line = append(line, '.')
			line = strconv.AppendInt(line, int64(p.line), 10)
		}
		if line = append(line, '\n'); len(line) > maxLine {
			return 0, fmt.Errorf("package %.80q has too many records (%d)", name, len(byName[name]))
		}
	}
	if _, err := w.Write(line); err != nil {
		return 0, errors.Join(errors.New("write index"), err)
	}
	return len(names), nil
}

// counted hashes and counts what goes through.
type counted struct {
	w   io.Writer
	sum hash.Hash
	n   int64
}

// Write implements io.Writer.
func (c *counted) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.sum.Write(p[:n])
	if c.n += int64(n); err == nil && c.n > MaxLayer {
		err = fmt.Errorf("the layer has more than %d bytes", int64(MaxLayer))
	}
	return n, err
}

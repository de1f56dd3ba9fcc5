package vulndb

import (
	"archive/zip"
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/revet-dev/revet/pkg/pipeline/osv"
)

const (
	indexName   = "index"
	blockPrefix = "records/"
)

// header is the first line of an index.
type header struct {
	Format    int    `json:"format"`
	Ecosystem string `json:"ecosystem"`
	Records   int    `json:"records"`
	Packages  int    `json:"packages"`
	Blocks    int    `json:"blocks"`
}

// place is where a record is: a block and a line in it.
type place struct{ block, line int }

func (p place) compare(q place) int {
	if p.block != q.block {
		return p.block - q.block
	}
	return p.line - q.line
}

// shard reads the layer of one ecosystem.
type shard struct {
	ecosystem string
	blocks    []*zip.File
	index     *zip.File
	records   int
	packages  int
}

// openShard opens a layer and reads its index once, so that a lie about what is in
// it is found before a scan relies on it.
func openShard(ctx context.Context, r io.ReaderAt, size int64, e Ecosystem) (*shard, error) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, fmt.Errorf("it is no zip file: %w", err)
	}
	n := len(z.File) - 1
	if n < 1 || n > maxBlocks || z.File[n].Name != indexName {
		return nil, fmt.Errorf("it has %d files, and the last is not %q", n+1, indexName)
	}
	for i, f := range z.File[:n] {
		if f.Name != blockPrefix+strconv.Itoa(i) {
			return nil, fmt.Errorf("its file %d is %.80q", i, f.Name)
		}
	}
	s := &shard{ecosystem: e.Name, blocks: z.File[:n], index: z.File[n], records: e.Records, packages: e.Packages}
	return s, s.check(ctx)
}

// check reads the index and holds it against what the config says.
func (s *shard) check(ctx context.Context) error {
	seen := map[place]struct{}{}
	packages := 0
	err := s.names(ctx, func(_ string, at []place) error {
		packages++
		for _, p := range at {
			seen[p] = struct{}{}
		}
		if len(seen) > s.records || packages > s.packages {
			return fmt.Errorf("it has more than the %d records of %d packages that the config counts", s.records, s.packages)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(seen) != s.records || packages != s.packages {
		return fmt.Errorf("it has %d records of %d packages; the config counts %d of %d", len(seen), packages, s.records, s.packages)
	}
	return nil
}

// names reads the index, one name after another.
func (s *shard) names(ctx context.Context, fn func(name string, at []place) error) error {
	rc, err := s.index.Open()
	if err != nil {
		return fmt.Errorf("open its index: %w", err)
	}
	defer rc.Close()
	lines := bufio.NewScanner(io.LimitReader(rc, maxIndex))
	lines.Buffer(make([]byte, 0, 4096), maxLine)
	if !lines.Scan() {
		return fmt.Errorf("its index is empty (%w)", errors.Join(lines.Err(), io.ErrUnexpectedEOF))
	}
	if err := s.checkHeader(lines.Bytes()); err != nil {
		return err
	}
	last, at := "", []place(nil)
	for n := 2; lines.Scan(); n++ {
		if n%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		var name string
		if name, at, err = s.parseLine(lines.Text(), at[:0]); err != nil {
			return fmt.Errorf("line %d of its index: %w", n, err)
		}
		if n > 2 && name <= last {
			return fmt.Errorf("line %d of its index: %.80q is not in order", n, name)
		}
		last = name
		if err := fn(name, at); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read its index: %w", err)
	}
	return nil
}

func (s *shard) checkHeader(line []byte) error {
	var got header
	if err := json.Unmarshal(line, &got); err != nil {
		return fmt.Errorf("the first line of its index: %w", err)
	}
	want := header{Format, s.ecosystem, s.records, s.packages, len(s.blocks)}
	if got != want {
		return fmt.Errorf("its index is of %+v, and it should be of %+v", got, want)
	}
	return nil
}

// parseLine reads "name" BLOCK.LINE ...; places are in order, each once.
func (s *shard) parseLine(text string, at []place) (string, []place, error) {
	quoted, err := strconv.QuotedPrefix(text)
	if err != nil {
		return "", nil, fmt.Errorf("%.80q does not begin with a name", text)
	}
	name, err := strconv.Unquote(quoted)
	if err != nil || name == "" || len(name) > maxName {
		return "", nil, fmt.Errorf("%.80q is no name", quoted)
	}
	for word := range strings.SplitSeq(strings.TrimPrefix(text[len(quoted):], " "), " ") {
		block, line, _ := strings.Cut(word, ".")
		b, errB := strconv.ParseUint(block, 10, 31)
		l, errL := strconv.ParseUint(line, 10, 31)
		next := place{int(b), int(l)}
		if errB != nil || errL != nil || next.block >= len(s.blocks) || next.line > maxBlock {
			return "", nil, fmt.Errorf("%.40q is no place of a record", word)
		}
		if len(at) > 0 && at[len(at)-1].compare(next) >= 0 {
			return "", nil, fmt.Errorf("the place %s is not in order", word)
		}
		at = append(at, next)
	}
	return name, at, nil
}

// each calls fn with the records that tell of a wanted package, each once.
func (s *shard) each(ctx context.Context, wanted func(ecosystem, name string) bool, fn func(osv.Record) error) error {
	var places []place
	err := s.names(ctx, func(name string, at []place) error {
		if wanted(s.ecosystem, name) {
			places = append(places, at...)
		}
		return nil
	})
	if err != nil {
		return broken(s.ecosystem, err)
	}
	slices.SortFunc(places, place.compare)
	places = slices.Compact(places)
	for len(places) > 0 {
		block := places[0].block
		n := 1
		for n < len(places) && places[n].block == block {
			n++
		}
		if err := s.read(ctx, block, places[:n], fn); err != nil {
			return err
		}
		places = places[n:]
	}
	return nil
}

// read reads the records at places of one block.
func (s *shard) read(ctx context.Context, block int, places []place, fn func(osv.Record) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	lines, err := s.block(block)
	if err != nil {
		return broken(s.ecosystem, err)
	}
	for _, p := range places {
		if p.line >= len(lines) {
			return broken(s.ecosystem, fmt.Errorf("block %d has %d records, and its index names number %d", block, len(lines), p.line))
		}
		r, err := osv.Parse(lines[p.line])
		if err != nil {
			return broken(s.ecosystem, fmt.Errorf("record %d of block %d: %w", p.line, block, err))
		}
		if err := fn(narrow(r, s.ecosystem)); err != nil {
			return err
		}
	}
	return nil
}

// block unpacks a block into its lines.
func (s *shard) block(n int) ([][]byte, error) {
	f := s.blocks[n]
	if f.UncompressedSize64 > maxBlock {
		return nil, fmt.Errorf("block %d unpacks to %d bytes, more than %d", n, f.UncompressedSize64, maxBlock)
	}
	rc, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("open block %d: %w", n, err)
	}
	defer rc.Close()
	raw, err := io.ReadAll(io.LimitReader(rc, maxBlock+1))
	if err != nil {
		return nil, fmt.Errorf("read block %d: %w", n, err)
	}
	if len(raw) > maxBlock {
		return nil, fmt.Errorf("block %d unpacks to more than %d bytes", n, maxBlock)
	}
	return bytes.Split(bytes.TrimSuffix(raw, []byte("\n")), []byte("\n")), nil
}

// narrow leaves of a record what it tells of one ecosystem: those of other
// ecosystems come from their own layers, so that nothing is told twice.
func narrow(r osv.Record, ecosystem string) osv.Record {
	var of []osv.Affected
	for _, a := range r.Affected {
		if osv.Base(a.Package.Ecosystem) == ecosystem {
			of = append(of, a)
		}
	}
	r.Affected = of
	return r
}

// namesIn returns the names of an ecosystem's packages in r, sorted, each once.
func namesIn(r osv.Record, ecosystem string) []string {
	var names []string
	for _, a := range r.Affected {
		if osv.Base(a.Package.Ecosystem) == ecosystem && a.Package.Name != "" {
			names = append(names, a.Package.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

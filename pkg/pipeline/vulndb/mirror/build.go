package mirror

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/revet-dev/revet/pkg/pipeline/content"
	"github.com/revet-dev/revet/pkg/pipeline/vulndb"
)

// builder gathers layers and what is known of them.
type builder struct {
	o      Options
	source string
	all    []vulndb.Ecosystem
	layers map[string]io.ReaderAt
	kept   []string
	notes  []string
	files  []io.Closer
}

func newBuilder(o Options, source string) *builder {
	return &builder{o: o, source: source, layers: map[string]io.ReaderAt{}}
}

// close closes what the layers are read from.
func (b *builder) close() {
	for _, f := range b.files {
		_ = f.Close() // it was only read
	}
}

// add makes the layer of an ecosystem.
func (b *builder) add(ctx context.Context, ecosystem string, records vulndb.Records, origin vulndb.Origin) error {
	f, err := os.Create(filepath.Join(b.o.Dir, fmt.Sprintf("layer-%d", len(b.files))))
	if err != nil {
		return fmt.Errorf("store the layer of %s: %w", ecosystem, err)
	}
	b.files = append(b.files, f)
	e, err := vulndb.Write(ctx, f, ecosystem, records, b.o.MaxUnreadable, b.o.Now)
	if err != nil {
		return err
	}
	if e.Records == 0 {
		b.notes = append(b.notes, fmt.Sprintf("left out: %s has no records of packages", ecosystem))
		return nil
	}
	if e.Modified.IsZero() {
		return fmt.Errorf("source %s: no record of %s says when it was modified, in the past: nobody could tell how old it is", b.source, ecosystem)
	}
	if origin.Modified.After(b.o.Now) {
		origin.Modified = b.o.Now // or it would not get old until then
	}
	e.Origin = origin
	b.put(e, f)
	return nil
}

// put takes a layer that is ready.
func (b *builder) put(e vulndb.Ecosystem, layer io.ReaderAt) {
	b.all = append(b.all, e)
	b.layers[e.Name] = layer
}

// finish joins the layers.
func (b *builder) finish() (next, error) {
	if len(b.all) == 0 {
		return next{}, content.Errorf(vulndb.ReasonEmpty, "source "+b.source, "it has no records of packages%s; nothing is written",
			strings.Join(append([]string{""}, b.notes...), "; "))
	}
	slices.SortFunc(b.all, func(x, y vulndb.Ecosystem) int { return strings.Compare(x.Name, y.Name) })
	a, err := vulndb.Pack(vulndb.Config{Source: b.source, AsOf: vulndb.Newest(b.all), Mirrored: b.o.Now, Ecosystems: b.all})
	if err != nil {
		return next{}, fmt.Errorf("source %s: %w", b.source, err)
	}
	return next{artifact: a, layers: b.layers, kept: b.kept, notes: b.notes}, nil
}

// fromMirror takes another mirror's database as it is.
func fromMirror(ctx context.Context, o Options, _ *vulndb.Artifact) (next, func(), error) {
	db, err := vulndb.Open(ctx, o.From, vulndb.Options{Registry: o.Registry, AnyAge: true, Dir: o.Dir})
	if err != nil {
		return next{}, nil, err
	}
	done := func() { _ = db.Close() } // it was only read
	if err := db.Verify(ctx); err != nil {
		done()
		return next{}, nil, err
	}
	out := next{artifact: db.Artifact(), layers: map[string]io.ReaderAt{}, exact: true}
	if out.artifact.Config.AsOf.After(o.Now) {
		done()
		return next{}, nil, errors.New("the database " + o.From + " claims to be of the future, and would never be too old")
	}
	for _, name := range db.Ecosystems() {
		out.layers[name] = db.Layer(name)
	}
	return out, done, nil
}

package pushes

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sort"

	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// input is what one JSON value or YAML document holds.
type input struct {
	// step is the name of the recorded step, or empty.
	step    string
	changes []change
	// notes say what was skipped.
	notes []string
}

// inputError says where an input cannot be read.
type inputError struct {
	File string
	// Position is such as "line 12, event 3".
	Position string
	Err      error
}

func (e *inputError) Error() string {
	if e.Position == "" {
		return fmt.Sprintf("%s: %v", e.File, e.Err)
	}
	return fmt.Sprintf("%s: %s: %v", e.File, e.Position, e.Err)
}

func (e *inputError) Unwrap() error { return e.Err }

var errEmpty = errors.New("it is empty")

// readInputs emits each value as soon as it has read it, so that a user can follow a
// watch. It emits everything that precedes an error.
func readInputs(file string, r io.Reader, emit func(input) error) error {
	b := bufio.NewReader(r)
	first, err := peekNonSpace(b)
	if errors.Is(err, io.EOF) {
		return &inputError{file, "", errEmpty}
	}
	if err != nil {
		return &inputError{file, "", err}
	}
	if first == '{' || first == '[' {
		return readJSON(file, b, emit)
	}
	return readYAML(file, b, emit)
}

// peekNonSpace drops nothing but a byte order mark, so that lines keep their numbers.
func peekNonSpace(b *bufio.Reader) (byte, error) {
	if bom, err := b.Peek(3); err == nil && bytes.Equal(bom, []byte("\xef\xbb\xbf")) {
		_, _ = b.Discard(3)
	}
	for n := 1; ; n++ {
		peeked, err := b.Peek(n)
		if len(peeked) < n {
			if errors.Is(err, bufio.ErrBufferFull) {
				return 0, errors.New("it begins with too much white space")
			}
			return 0, err
		}
		switch c := peeked[n-1]; c {
		case ' ', '\t', '\r', '\n':
		default:
			return c, nil
		}
	}
}

func readJSON(file string, r io.Reader, emit func(input) error) error {
	lines := &lineCounter{r: r}
	d := json.NewDecoder(lines)
	for {
		var raw json.RawMessage
		err := d.Decode(&raw)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return &inputError{file, lines.position(syntaxOffset(err, lines.read)), jsonCause(err)}
		}
		start := d.InputOffset() - int64(len(raw))
		if err := emitValue(file, lines.position(start), raw, emit); err != nil {
			return err
		}
	}
}

func readYAML(file string, r *bufio.Reader, emit func(input) error) error {
	documents := utilyaml.NewYAMLReader(r)
	for n := 1; ; n++ {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		position := fmt.Sprintf("document %d", n)
		if err != nil {
			return &inputError{file, position, err}
		}
		raw, err := yaml.YAMLToJSONStrict(document)
		if err != nil {
			return &inputError{file, position, err}
		}
		if string(raw) == "null" {
			continue // only comments, as before a first separator
		}
		if err := emitValue(file, position, raw, emit); err != nil {
			return err
		}
	}
}

// emitValue emits what it could read of a value, with or without an error.
func emitValue(file, position string, raw json.RawMessage, emit func(input) error) error {
	p := parser{file: file}
	parseErr := p.parse(position, raw)
	if err := emit(p.in); err != nil {
		return err
	}
	return parseErr
}

// jsonCause says in words what encoding/json reports by an end of file.
func jsonCause(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the JSON ends in the middle of a value; is the file complete?")
	}
	return err
}

func syntaxOffset(err error, read int64) int64 {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return syntax.Offset - 1
	}
	return read
}

// lineCounter knows the line of each offset that was read through it.
type lineCounter struct {
	r        io.Reader
	read     int64
	newlines []int64
}

func (l *lineCounter) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	for i, c := range p[:n] {
		if c == '\n' {
			l.newlines = append(l.newlines, l.read+int64(i))
		}
	}
	l.read += int64(n)
	return n, err
}

func (l *lineCounter) position(offset int64) string {
	before := sort.Search(len(l.newlines), func(i int) bool { return l.newlines[i] >= offset })
	return fmt.Sprintf("line %d", before+1)
}

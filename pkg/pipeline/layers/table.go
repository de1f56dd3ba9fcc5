package layers

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// table is a table of contents.
type table struct {
	entries map[string]*tableEntry
}

// tableEntry is an entry for a path in a table of contents.
type tableEntry struct {
	Type       string
	Link       string
	Mode       int64
	Size       int64
	UID, GID   int64
	Major      int64
	Minor      int64
	Digest     string
	Attributes map[string]string // decoded from base64
	Chunks     []chunk
}

// chunk is a part of a file that runtimes pull on its own and trust by its digest.
type chunk struct {
	Offset, Size int64
	Digest       string
	Zeros        bool
}

// parseTable parses a table of contents. It refuses duplicate and empty keys, because parsers
// differ on them. left is the number of entries it may still have.
func parseTable(raw []byte, left *int) (*table, error) {
	t := &table{entries: map[string]*tableEntry{}}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	err := object(d, func(key string) error {
		if key != "entries" {
			return skip(d)
		}
		var last string
		return array(d, func() error {
			if *left--; *left < 0 {
				return fmt.Errorf("it has more than %d entries", maxTOCEntries)
			}
			return t.entry(d, &last)
		})
	})
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more data follows it")
	}
	return t, nil
}

// entry reads one entry. last is the path of the file before it.
func (t *table) entry(d *json.Decoder, last *string) error {
	e := &tableEntry{}
	c := chunk{}
	name, kind := "", ""
	err := object(d, func(key string) error {
		switch key {
		case "name":
			return value(d, &name)
		case "chunktype":
			return value(d, &kind)
		case "xattrs":
			return e.attributes(d)
		}
		if into := field(e, &c, key); into != nil {
			return value(d, into)
		}
		return skip(d)
	})
	if err != nil {
		return err
	}
	if kind != "" && kind != "zeros" {
		return fmt.Errorf("a part of %.100q has the type %.100q", name, kind)
	}
	c.Zeros = kind == "zeros"
	return t.add(strings.TrimPrefix(path.Clean("/"+name), "/"), e, c, last)
}

// field returns the destination of a key's value, or nil if the key does not affect what is shown.
func field(e *tableEntry, c *chunk, key string) any {
	switch key {
	case "type":
		return &e.Type
	case "linkname":
		return &e.Link
	case "mode":
		return &e.Mode
	case "size":
		return &e.Size
	case "uid":
		return &e.UID
	case "gid":
		return &e.GID
	case "devmajor":
		return &e.Major
	case "devminor":
		return &e.Minor
	case "digest":
		return &e.Digest
	case "chunkoffset":
		return &c.Offset
	case "chunksize":
		return &c.Size
	case "chunkdigest":
		return &c.Digest
	default:
		return nil
	}
}

// add adds a file, or a further part of the last one.
func (t *table) add(name string, e *tableEntry, c chunk, last *string) error {
	if e.Type == "chunk" {
		f := t.entries[name]
		if f == nil || name != *last {
			return fmt.Errorf("a part of %.100q does not follow its file", name)
		}
		f.Chunks = append(f.Chunks, c)
		return nil
	}
	if t.entries[name] != nil {
		return fmt.Errorf("it has %.100q twice", name)
	}
	e.Chunks = []chunk{c}
	t.entries[name] = e
	*last = name
	return nil
}

func (e *tableEntry) attributes(d *json.Decoder) error {
	e.Attributes = map[string]string{}
	return member(d, func(key string) error {
		var text string
		if err := value(d, &text); err != nil {
			return err
		}
		if _, ok := e.Attributes[key]; ok {
			return fmt.Errorf("it has the attribute %.100q twice", key)
		}
		raw, err := base64.StdEncoding.DecodeString(text)
		e.Attributes[key] = string(raw)
		return err
	})
}

// object reads an object. Keys that differ only in case count as equal.
func object(d *json.Decoder, f func(key string) error) error {
	seen := map[string]bool{}
	return member(d, func(key string) error {
		key = strings.ToLower(key)
		if key == "" || seen[key] {
			return fmt.Errorf("it has the key %.100q twice, or an empty one", key)
		}
		seen[key] = true
		return f(key)
	})
}

func member(d *json.Decoder, f func(key string) error) error {
	if err := delimiter(d, '{'); err != nil {
		return err
	}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return err
		}
		key, ok := token.(string)
		if !ok {
			return errors.New("a key is not a string")
		}
		if err := f(key); err != nil {
			return err
		}
	}
	return delimiter(d, '}')
}

func array(d *json.Decoder, f func() error) error {
	if err := delimiter(d, '['); err != nil {
		return err
	}
	for d.More() {
		if err := f(); err != nil {
			return err
		}
	}
	return delimiter(d, ']')
}

func delimiter(d *json.Decoder, want json.Delim) error {
	token, err := d.Token()
	if err != nil {
		return err
	}
	if token != want {
		return fmt.Errorf("found %.100v instead of %v", token, want)
	}
	return nil
}

func value(d *json.Decoder, into any) error { return d.Decode(into) }

func skip(d *json.Decoder) error {
	var any json.RawMessage
	return d.Decode(&any)
}

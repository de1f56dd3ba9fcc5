package taskresult

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
)

const (
	// packedPrefix begins a compressed outcome. No JSON document begins with it.
	packedPrefix = "deflate:"
	// maxUnpacked bounds an outcome that was compressed.
	maxUnpacked = 8 << 10
)

// pack compresses text. The quotes and field names of JSON are most of a long outcome, and each
// quote takes two bytes in a message.
func pack(text string) (string, error) {
	if len(text) > maxUnpacked {
		return "", fmt.Errorf("compress outcome: it has more than %d bytes", maxUnpacked)
	}
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.DefaultCompression)
	if err == nil {
		_, err = io.WriteString(w, text)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return "", fmt.Errorf("compress outcome: %w", err)
	}
	return packedPrefix + base64.RawStdEncoding.EncodeToString(b.Bytes()), nil
}

// unpack reads what follows packedPrefix.
func unpack(packed string) (string, error) {
	raw, err := base64.RawStdEncoding.Strict().DecodeString(packed)
	if err != nil {
		return "", err
	}
	source := bytes.NewReader(raw)
	text, err := io.ReadAll(io.LimitReader(flate.NewReader(source), maxUnpacked+1))
	switch {
	case err != nil:
		return "", err
	case len(text) > maxUnpacked:
		return "", fmt.Errorf("it has more than %d bytes", maxUnpacked)
	case source.Len() > 0:
		return "", errors.New("more data follows")
	}
	return string(text), nil
}

package receiver

import (
	"errors"
	"fmt"

	"github.com/mailru/easyjson/jlexer"
)

// maxAttributes and maxAttributeBytes bound the attributes of an event in structured mode. They
// are scalars. In binary mode they are headers, which the server bounds.
const (
	maxAttributes     = 64
	maxAttributeBytes = 64 << 10
)

// checkAttributes refuses an event in structured mode whose attributes take more, once they are
// decoded, than others can spare: a list of empty lists takes more than a hundred times its text.
// It only looks at the outermost object, and leaves what is wrong with it to the decoder.
func checkAttributes(body []byte) error {
	l := &jlexer.Lexer{Data: body}
	var attributes, size int
	data := false
	for l.Delim('{'); l.Ok() && !l.IsDelim('}'); l.WantComma() {
		name := l.UnsafeFieldName(true)
		l.WantColon()
		value := l.Raw()
		if (name == "data" || name == "data_base64") && !data {
			data = true
			continue
		}
		attributes++
		size += len(name) + len(value)
		switch {
		case attributes > maxAttributes || size > maxAttributeBytes:
			return fmt.Errorf("it has more than %d attributes or %d bytes of them", maxAttributes, maxAttributeBytes)
		case len(value) > 0 && (value[0] == '{' || value[0] == '['):
			return errors.New("an attribute is neither text, nor a number, nor a truth value")
		}
	}
	return nil
}

// splitBatch returns the events of a batch, as parts of its body.
func splitBatch(body []byte) (events [][]byte, err error) {
	l := &jlexer.Lexer{Data: body}
	for l.Delim('['); l.Ok() && !l.IsDelim(']'); l.WantComma() {
		if len(events) == maxBatch {
			return nil, fmt.Errorf("the batch has more than %d events; send at most %d", maxBatch, maxBatch)
		}
		events = append(events, l.Raw())
	}
	l.Delim(']')
	l.Consumed()
	if l.Error() != nil {
		return nil, errors.New("the batch is no list in JSON")
	}
	return events, nil
}

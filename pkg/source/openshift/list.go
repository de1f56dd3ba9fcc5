package openshift

import (
	"fmt"

	"github.com/mailru/easyjson/jlexer"
)

// DecodeList calls each for the ImageStreams of a page of a list, as the API server sends it.
// It returns the token that continues the list; "" for the last page. Of each stream it reads
// what Decode reads of an event. An error may come after some streams were read; each never
// gets the stream that cannot be read.
func DecodeList(page []byte, each func(*StreamState)) (next string, err error) {
	l := &jlexer.Lexer{Data: page}
	eachField(l, func(name string) {
		switch name {
		case "metadata":
			eachField(l, func(name string) {
				if name == "continue" {
					next = text(l)
					return
				}
				l.SkipRecursive()
			})
		case "items":
			eachElement(l, func() {
				var o object
				o.read(l)
				if l.Ok() {
					each(&StreamState{Namespace: o.namespace, Name: o.name, Labels: o.labels, Stream: o.stream()})
				}
			})
		default:
			l.SkipRecursive()
		}
	})
	l.Consumed()
	if err := failed(l); err != nil {
		return "", fmt.Errorf("decoding a list of ImageStreams: %w", err)
	}
	return next, nil
}

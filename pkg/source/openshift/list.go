package openshift

import (
	"fmt"

	"github.com/mailru/easyjson/jlexer"
)

// DecodeList calls each for the ImageStreams of a page of a list, as the API server
// sends it, and returns what continues it; "" for the last page. It reads of each
// stream what Decode reads of an event, for the same reason: a list of thousands
// of streams holds mostly what nobody asks for. An error may come after streams
// that were read; nothing of the stream that it is about was passed on.
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

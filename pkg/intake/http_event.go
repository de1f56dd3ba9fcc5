package intake

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/cloudevents/sdk-go/v2/binding"
	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/image"
)

// The content types of CloudEvents that are not in binary mode.
const (
	structuredType = "application/cloudevents+json"
	batchType      = "application/cloudevents-batch+json"
)

// maxBatch bounds the events of one request.
const maxBatch = 1000

// event serves POST /.
func (h *Handler) event(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength > h.limits.EventBody {
		refuse(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than %d bytes", h.limits.EventBody))
		return
	}
	mediaType := contentType(r)
	handle := h.intake.single
	switch {
	case mediaType == batchType:
		handle = h.intake.batch
	case mediaType == structuredType:
	case strings.HasPrefix(mediaType, "application/cloudevents"):
		unsupported(w, mediaType)
		return
	case r.Header.Get("Ce-Specversion") != "":
		if reason := passOver(r.Header.Get("Ce-Type")); reason != "" {
			// Neither its body nor its content type matters.
			h.reply(r.Context(), w, v1alpha1.SourceEvent, done(otherKind, reason))
			return
		}
		if mediaType != "" && !isJSON(mediaType) {
			unsupported(w, mediaType)
			return
		}
		handle = func(ctx context.Context, body []byte) Result { return h.intake.binary(ctx, r.Header, body) }
	case mediaType != "" && !isJSON(mediaType):
		unsupported(w, mediaType)
		return
	default:
		refuse(w, http.StatusBadRequest, fmt.Sprintf("not a CloudEvent: there is no ce-specversion header, and the content type is neither %s nor %s", structuredType, batchType))
		return
	}
	body, release, ok := h.body(w, r, h.limits.EventBody)
	if !ok {
		return
	}
	defer release()
	h.reply(r.Context(), w, v1alpha1.SourceEvent, handle(r.Context(), body))
}

func contentType(r *http.Request) string {
	header := r.Header.Get("Content-Type")
	if header == "" || header == "application/json" {
		return header // what ApiServerSource sends, without the parser
	}
	mediaType, _, err := mime.ParseMediaType(header)
	if err != nil {
		return "invalid"
	}
	return mediaType
}

func isJSON(mediaType string) bool {
	return mediaType == "application/json" || mediaType == "text/json" || strings.HasSuffix(mediaType, "+json")
}

func unsupported(w http.ResponseWriter, mediaType string) {
	refuse(w, http.StatusUnsupportedMediaType, fmt.Sprintf("content type %q; accepted are application/json with ce- headers, %s and %s",
		image.Cut(mediaType, 80), structuredType, batchType))
}

func notCloudEvent(err error) Result {
	return Result{Status: Refused, Reason: Undecodable, Kind: otherKind, Err: fmt.Errorf("not a CloudEvent: %w", err)}
}

func (i *Intake) binary(ctx context.Context, header http.Header, body []byte) Result {
	message := cehttp.NewMessage(header, io.NopCloser(bytes.NewReader(body)))
	if message.ReadEncoding() != binding.EncodingBinary {
		return notCloudEvent(fmt.Errorf("ce-specversion %q; known are 1.0 and 0.3", image.Cut(header.Get("Ce-Specversion"), 20)))
	}
	e, err := binding.ToEvent(ctx, message)
	if err != nil {
		return notCloudEvent(err)
	}
	return i.valid(ctx, e)
}

func (i *Intake) single(ctx context.Context, body []byte) Result {
	var e cloudevents.Event
	if err := json.Unmarshal(body, &e); err != nil {
		return notCloudEvent(err)
	}
	return i.valid(ctx, &e)
}

// batch handles each event for itself: one that is broken keeps no other from
// being recorded. The answer is 202 only if every one was handled.
func (i *Intake) batch(ctx context.Context, body []byte) Result {
	var events []json.RawMessage
	if err := json.Unmarshal(body, &events); err != nil {
		return notCloudEvent(fmt.Errorf("the batch: %w", err))
	}
	if len(events) > maxBatch {
		return notCloudEvent(fmt.Errorf("the batch has %d events; at most %d are taken", len(events), maxBatch))
	}
	result := done(otherKind, NothingNew)
	for n, raw := range events {
		r := i.single(ctx, raw)
		if r.Err != nil {
			r.Err = fmt.Errorf("event %d of the batch: %w", n+1, r.Err)
		}
		result = combine(result, r)
	}
	return result
}

func (i *Intake) valid(ctx context.Context, e *cloudevents.Event) Result {
	if reason := passOver(e.Type()); reason != "" && e.Type() != "" {
		return done(otherKind, reason)
	}
	if err := e.Validate(); err != nil {
		return notCloudEvent(errors.New(strings.TrimSpace(err.Error())))
	}
	return i.Event(ctx, e)
}

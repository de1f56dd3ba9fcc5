package receiver

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
	"github.com/revet-dev/revet/pkg/intake"
)

// The content types of CloudEvents that are not in binary mode.
const (
	structuredType = "application/cloudevents+json"
	batchType      = "application/cloudevents-batch+json"
)

// maxBatch bounds how many events a batch may have.
const maxBatch = 1000

// event serves POST /: a CloudEvent in binary or structured mode, or a batch of them.
func (h *Handler) event(w http.ResponseWriter, r *http.Request) {
	if !h.authenticated(w, r) {
		return
	}
	if r.ContentLength > h.limits.EventBody {
		refuse(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than %d bytes", h.limits.EventBody))
		return
	}
	mediaType := contentType(r)
	from := sourceOf(r)
	handle := h.single
	switch {
	case mediaType == batchType:
		handle = h.batch
	case mediaType == structuredType:
	case strings.HasPrefix(mediaType, "application/cloudevents"):
		unsupported(w, mediaType)
		return
	case r.Header.Get("Ce-Specversion") != "":
		if reason := intake.PassOver(r.Header.Get("Ce-Type")); reason != "" {
			// Its body and its content type do not matter.
			h.reply(r.Context(), w, v1alpha1.SourceEvent, intake.Handled(intake.KindOther, reason))
			return
		}
		if mediaType != "" && !isJSON(mediaType) {
			unsupported(w, mediaType)
			return
		}
		handle = func(ctx context.Context, from string, body []byte) intake.Result {
			return h.binary(ctx, from, r.Header, body)
		}
	case mediaType != "" && !isJSON(mediaType):
		unsupported(w, mediaType)
		return
	default:
		refuse(w, http.StatusBadRequest, fmt.Sprintf("not a CloudEvent: the request has no ce-specversion header, and its content type is neither %s nor %s", structuredType, batchType))
		return
	}
	body, release, ok := h.body(w, r, h.limits.EventBody)
	if !ok {
		return
	}
	defer release()
	h.reply(r.Context(), w, v1alpha1.SourceEvent, handle(r.Context(), from, body))
}

func contentType(r *http.Request) string {
	header := r.Header.Get("Content-Type")
	if header == "" || header == "application/json" {
		return header // ApiServerSource sends this; it needs no parser
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
	refuse(w, http.StatusUnsupportedMediaType, fmt.Sprintf("content type %q is not supported; send application/json with ce- headers, %s or %s",
		image.Cut(mediaType, 80), structuredType, batchType))
}

func notCloudEvent(err error) intake.Result {
	return intake.Result{Status: intake.Refused, Reason: intake.Undecodable, Kind: intake.KindOther, Err: fmt.Errorf("not a CloudEvent: %w", err)}
}

func (h *Handler) binary(ctx context.Context, from string, header http.Header, body []byte) intake.Result {
	message := cehttp.NewMessage(header, io.NopCloser(bytes.NewReader(body)))
	if message.ReadEncoding() != binding.EncodingBinary {
		return notCloudEvent(fmt.Errorf("ce-specversion %q is not supported; send 1.0 or 0.3", image.Cut(header.Get("Ce-Specversion"), 20)))
	}
	e, err := binding.ToEvent(ctx, message)
	if err != nil {
		return notCloudEvent(err)
	}
	return h.valid(ctx, from, e)
}

func (h *Handler) single(ctx context.Context, from string, body []byte) intake.Result {
	if err := checkAttributes(body); err != nil {
		return notCloudEvent(err)
	}
	var e cloudevents.Event
	if err := json.Unmarshal(body, &e); err != nil {
		return notCloudEvent(err)
	}
	return h.valid(ctx, from, &e)
}

// batch handles each event on its own, so a broken one does not keep the others from being
// recorded. The answer is 202 only if all of them were handled.
func (h *Handler) batch(ctx context.Context, from string, body []byte) intake.Result {
	events, err := splitBatch(body)
	if err != nil {
		return notCloudEvent(err)
	}
	result := intake.Handled(intake.KindOther, intake.NothingNew)
	for n, raw := range events {
		r := h.single(ctx, from, raw)
		if r.Err != nil {
			r.Err = fmt.Errorf("event %d of the batch: %w", n+1, r.Err)
		}
		result = intake.Combine(result, r)
	}
	return result
}

func (h *Handler) valid(ctx context.Context, from string, e *cloudevents.Event) intake.Result {
	if reason := intake.PassOver(e.Type()); reason != "" && e.Type() != "" {
		return intake.Handled(intake.KindOther, reason)
	}
	if err := e.Validate(); err != nil {
		return notCloudEvent(errors.New(strings.TrimSpace(err.Error())))
	}
	return h.intake.Event(ctx, from, e)
}

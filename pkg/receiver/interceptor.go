package receiver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"strings"
	"sync"
	"time"

	triggersv1beta1 "github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/runrequest"
)

// The codes of google.rpc.Code.
const (
	codeInvalidArgument = 3
	codeUnauthenticated = 16
)

// The results that are counted, besides the reasons of refusals.
const (
	resultAccepted   = "Accepted"
	resultUnreadable = "Unreadable"     // no request of an EventListener
	resultNoKeys     = "KeysUnreadable" // nobody could tell
)

// loggedEvery is how often a refusal is logged at most: whoever reaches the port can be refused.
const loggedEvery = time.Second

// KeysFor returns the keys of Revet's requests, as new as it takes to know the name of one.
type KeysFor func(ctx context.Context, name string) (runrequest.Keys, error)

// Interceptor is what EventListeners ask before they make anything of a request: it lets those
// of Revet's controller pass. It keeps no state, so that any replica may answer.
type Interceptor struct {
	admission

	keys  KeysFor
	now   func() time.Time
	log   *zap.Logger
	count metric.Int64Counter

	mu       sync.Mutex
	logged   time.Time
	unlogged int
}

// NewInterceptor returns an Interceptor. Of the limits EventBody bounds its requests.
func NewInterceptor(keys KeysFor, limits Limits, meter metric.Meter, log *zap.Logger, now func() time.Time) (*Interceptor, error) {
	count, err := meter.Int64Counter("revet_interceptor_requests",
		metric.WithDescription("Requests for runs that EventListeners asked about, by what became of them."))
	if err != nil {
		return nil, fmt.Errorf("making the interceptor's metrics: %w", err)
	}
	return &Interceptor{admission: newAdmission(limits), keys: keys, now: now, log: log, count: count}, nil
}

// ServeHTTP answers what an EventListener asks.
func (i *Interceptor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		refuse(w, http.StatusMethodNotAllowed, "EventListeners of Tekton post here")
		return
	}
	source := sourceOf(r)
	if !i.slots.Take(source, 1) {
		i.later(w, http.StatusTooManyRequests, "too many requests are under way")
		return
	}
	defer i.slots.Give(source, 1)
	ctx, cancel := context.WithTimeout(r.Context(), i.limits.Deadline)
	defer cancel()
	body, release, ok := i.body(w, r, i.limits.EventBody)
	if !ok {
		return
	}
	defer release()
	var asked triggersv1beta1.InterceptorRequest
	if err := json.Unmarshal(body, &asked); err != nil || asked.Context == nil {
		i.done(ctx, resultUnreadable)
		refuse(w, http.StatusBadRequest, "the body is not what an EventListener asks an interceptor")
		return
	}
	i.answer(ctx, w, &asked)
}

func (i *Interceptor) answer(ctx context.Context, w http.ResponseWriter, asked *triggersv1beta1.InterceptorRequest) {
	err := i.check(ctx, asked)
	var refusal *runrequest.Refusal
	var reply triggersv1beta1.InterceptorResponse
	switch {
	case err == nil:
		i.done(ctx, resultAccepted)
		reply.Continue = true
	case errors.As(err, &refusal):
		i.done(ctx, string(refusal.Reason))
		i.tell(asked, refusal)
		reply.Status = triggersv1beta1.Status{Code: codeUnauthenticated, Message: image.Cut(refusal.Message, maxCause)}
		if refusal.Reason == runrequest.WrongForm {
			reply.Status.Code = codeInvalidArgument
		}
	default:
		i.done(ctx, resultNoKeys)
		i.log.Warn("cannot check a request for a run, which the controller sends again", zap.Error(err))
		i.later(w, http.StatusServiceUnavailable, "the keys of Revet's requests cannot be read now")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(reply) // a listener that is gone needs no answer
}

// check returns nil for a request that Revet's controller signed for the trigger's namespace.
func (i *Interceptor) check(ctx context.Context, asked *triggersv1beta1.InterceptorRequest) error {
	signature, err := runrequest.ParseSignature(valuesOf(asked.Header, runrequest.Header))
	if err != nil {
		return err
	}
	keys, err := i.keys(ctx, signature.Key)
	if err != nil {
		return err
	}
	body := []byte(asked.Body) // byte by byte what the listener got, and what it uses afterwards
	if err := keys.Verify(signature, i.now(), namespaceOf(asked.Context.TriggerID), body); err != nil {
		return err
	}
	return runrequest.CheckForm(body)
}

// valuesOf returns a header's values, whatever the case of its name.
func valuesOf(header map[string][]string, name string) []string {
	var all []string
	for key, values := range header {
		if textproto.CanonicalMIMEHeaderKey(key) == name {
			all = append(all, values...)
		}
	}
	return all
}

// namespaceOf returns the namespace of a TriggerID, such as namespaces/team-a/triggers/scan of a
// Tekton Trigger, or "", for which nothing is signed.
func namespaceOf(id string) string {
	if parts := strings.Split(id, "/"); len(parts) == 4 && parts[0] == "namespaces" {
		return parts[1]
	}
	return ""
}

func (i *Interceptor) done(ctx context.Context, result string) {
	i.count.Add(ctx, 1, metric.WithAttributes(attribute.String("result", result)))
}

// tell logs a refusal, and how many were not logged since the last one.
func (i *Interceptor) tell(asked *triggersv1beta1.InterceptorRequest, refusal *runrequest.Refusal) {
	i.mu.Lock()
	defer i.mu.Unlock()
	now := i.now()
	if !i.logged.IsZero() && now.Sub(i.logged) < loggedEvery {
		i.unlogged++
		return
	}
	i.log.Warn("refused a request for a run", zap.String("reason", string(refusal.Reason)), zap.String("cause", image.Cut(refusal.Message, maxCause)),
		zap.String("trigger", image.Cut(asked.Context.TriggerID, maxCause)), zap.Int("unlogged", i.unlogged))
	i.logged, i.unlogged = now, 0
}

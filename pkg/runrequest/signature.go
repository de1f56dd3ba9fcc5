package runrequest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"time"
)

const (
	// Header is the header of a signature.
	Header = "Revet-Signature"
	// MaxAge is how far a signature's time may be from the clock of who checks it.
	MaxAge = 5 * time.Minute
	// version is that of the scheme: of the header, and of what the MAC covers.
	version = "v1"
)

// Reason says why a request is refused. The same string goes to logs and metrics.
type Reason string

// The reasons of a Refusal.
const (
	Unsigned       Reason = "Unsigned"       // it has no signature
	BadSignature   Reason = "BadSignature"   // the header is none that this version reads
	UnknownKey     Reason = "UnknownKey"     // the Secret has no key of that name
	WrongSignature Reason = "WrongSignature" // of another body, namespace or key
	Stale          Reason = "Stale"          // signed too long ago, or in the future
	WrongForm      Reason = "WrongForm"      // a body that the controller does not write
)

// Refusal is the error of a request that is refused.
type Refusal struct {
	Reason  Reason
	Message string
}

func (r *Refusal) Error() string { return string(r.Reason) + ": " + r.Message }

func refuse(reason Reason, format string, args ...any) *Refusal {
	return &Refusal{Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// Signature is what a header says. It proves nothing until Verify has checked it.
type Signature struct {
	// Key is the name of the key.
	Key string
	// time is in seconds since 1970, as in the header.
	time int64
	mac  []byte
}

// pattern is that of a header. The names of keys are those that a Secret may have.
var pattern = regexp.MustCompile(`^` + version + ` key=([-._a-zA-Z0-9]{1,253}) time=([0-9]{1,12}) mac=([0-9a-f]{64})$`)

// ParseSignature reads the values of a request's header. An error is a *Refusal.
func ParseSignature(values []string) (Signature, error) {
	if len(values) == 0 {
		return Signature{}, refuse(Unsigned, "the request has no header %s; only Revet's controller has runs started", Header)
	}
	parts := pattern.FindStringSubmatch(values[0])
	if len(values) > 1 || parts == nil {
		return Signature{}, refuse(BadSignature, "the request has not one header %s of the form \"%s key=NAME time=SECONDS mac=HEX\"", Header, version)
	}
	at, errTime := strconv.ParseInt(parts[2], 10, 64)
	mac, errMAC := hex.DecodeString(parts[3])
	if err := errors.Join(errTime, errMAC); err != nil {
		return Signature{}, refuse(BadSignature, "header %s: %v", Header, err)
	}
	return Signature{Key: parts[1], time: at, mac: mac}, nil
}

// Sign returns the header's value for a body that a trigger of the namespace asks with.
func (k Keys) Sign(at time.Time, namespace string, body []byte) (string, error) {
	if k.Empty() {
		return "", fmt.Errorf("the Secret %s has no key", Secret)
	}
	seconds := at.Unix()
	mac := k.mac(k.newest, seconds, namespace, body)
	return fmt.Sprintf("%s key=%s time=%d mac=%x", version, k.newest, seconds, mac), nil
}

// Verify returns nil if one of the keys signed the body, for the namespace, about now. Any other
// error is a *Refusal.
func (k Keys) Verify(s Signature, now time.Time, namespace string, body []byte) error {
	if !k.Has(s.Key) {
		return refuse(UnknownKey, "the Secret %s has no key %q", Secret, s.Key)
	}
	if !hmac.Equal(s.mac, k.mac(s.Key, s.time, namespace, body)) {
		return refuse(WrongSignature, "the signature is not that of key %q for this body, from a trigger in namespace %q", s.Key, namespace)
	}
	if age := now.Sub(time.Unix(s.time, 0)); age > MaxAge || age < -MaxAge {
		return refuse(Stale, "the signature is %s old, and counts for %s; if this lasts, compare the nodes' clocks", age.Round(time.Second), MaxAge)
	}
	return nil
}

// mac covers fields that hold no line break, one a line, and then the body.
func (k Keys) mac(name string, at int64, namespace string, body []byte) []byte {
	h := hmac.New(sha256.New, k.byName[name])
	_, _ = io.WriteString(h, "revet-request "+version+"\n"+name+"\n"+strconv.FormatInt(at, 10)+"\n"+namespace+"\n")
	_, _ = h.Write(body)
	return h.Sum(nil)
}

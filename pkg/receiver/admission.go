package receiver

import (
	"net/http"
	"strconv"
	"time"
)

// admission bounds what requests under way hold.
type admission struct {
	limits Limits
	// slots and bytes are what requests under way hold, by source.
	slots *Shares
	bytes *Shares
}

func newAdmission(limits Limits) admission {
	return admission{
		limits: limits,
		slots:  NewShares(int64(limits.InFlight), limits.alone(), time.Now),
		bytes:  NewShares(limits.InFlightBytes, limits.alone(), time.Now),
	}
}

// later asks the sender to try again.
func (a *admission) later(w http.ResponseWriter, status int, cause string) {
	seconds := int64((a.limits.RetryAfter + time.Second - 1) / time.Second)
	w.Header().Set("Retry-After", strconv.FormatInt(seconds, 10))
	refuse(w, status, cause)
}

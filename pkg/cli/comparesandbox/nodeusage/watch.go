package nodeusage

import (
	"context"
	"time"
)

// Ended is what is known of a Pod whose group was removed.
type Ended struct {
	// UID is the Pod's.
	UID string `json:"uid"`
	// Since is when its group was first seen, which is when the kubelet had admitted
	// it; Until when it was seen last. Both are late by up to the interval.
	Since time.Time `json:"since"`
	Until time.Time `json:"until"`

	CPUSeconds       *float64 `json:"cpuSeconds,omitempty"`
	PeakMemoryBytes  *int64   `json:"peakMemoryBytes,omitempty"`
	DiskReadBytes    *int64   `json:"diskReadBytes,omitempty"`
	DiskWrittenBytes *int64   `json:"diskWrittenBytes,omitempty"`
	ReceivedBytes    *int64   `json:"receivedBytes,omitempty"`
	SentBytes        *int64   `json:"sentBytes,omitempty"`
}

// Watch reads every Pod that began after the Reader was made at each tick, and tells
// of each when its group is gone. It returns when ctx is done, or tell fails.
func (r *Reader) Watch(ctx context.Context, ticks <-chan time.Time, tell func(Ended) error) error {
	running := map[string]*Ended{}
	for {
		var now time.Time
		select {
		case <-ctx.Done():
			return nil
		case now = <-ticks:
		}
		pods := r.Pods()
		for uid, group := range pods {
			if _, old := r.before[uid]; old {
				continue
			}
			if running[uid] == nil {
				running[uid] = &Ended{UID: uid, Since: now}
			}
			running[uid].add(r.Read(group), now)
		}
		for uid, e := range running {
			if _, still := pods[uid]; still {
				continue
			}
			delete(running, uid)
			if err := tell(*e); err != nil {
				return err
			}
		}
	}
}

// add takes over what was read. All of it only grows; a group that is going away
// shows less, or nothing.
func (e *Ended) add(u Usage, now time.Time) {
	e.Until = now
	if u.CPU != nil {
		seconds := u.CPU.Seconds()
		e.CPUSeconds = grown(e.CPUSeconds, &seconds)
	}
	e.PeakMemoryBytes = grown(e.PeakMemoryBytes, u.PeakMemory)
	e.DiskReadBytes = grown(e.DiskReadBytes, u.DiskRead)
	e.DiskWrittenBytes = grown(e.DiskWrittenBytes, u.DiskWritten)
	e.ReceivedBytes = grown(e.ReceivedBytes, u.Received)
	e.SentBytes = grown(e.SentBytes, u.Sent)
}

func grown[T int64 | float64](had, read *T) *T {
	if had == nil || (read != nil && *read > *had) {
		return read
	}
	return had
}

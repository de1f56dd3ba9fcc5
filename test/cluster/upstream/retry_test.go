package upstream

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestRetry(t *testing.T) {
	errCause := errors.New("not yet")
	for _, row := range []struct {
		name      string
		succeedAt int // attempt, 0 for never
		passing   bool
		wantTries int
		wantErr   string
	}{
		{name: "success ends it", succeedAt: 3, passing: true, wantTries: 3},
		{name: "a failure for good ends it", wantTries: 1, wantErr: "upstream: doing it: not yet"},
		{name: "at the end of patience the cause is told, not the time", passing: true, wantTries: 6, wantErr: "upstream: doing it: gave up: not yet"},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tries := 0
				err := retry(t.Context(), 5*attemptPause+time.Millisecond, "doing it", func(context.Context) (bool, error) {
					tries++
					if tries == row.succeedAt {
						return false, nil
					}
					return row.passing, errCause
				})
				if tries != row.wantTries {
					t.Errorf("%d attempts, want %d", tries, row.wantTries)
				}
				switch {
				case row.wantErr == "" && err != nil:
					t.Errorf("error: %v", err)
				case row.wantErr != "" && (!errors.Is(err, errCause) || !strings.HasPrefix(err.Error(), row.wantErr)):
					t.Errorf("error is %v, want %q", err, row.wantErr)
				}
			})
		})
	}
}

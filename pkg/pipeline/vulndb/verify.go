package vulndb

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/revet-dev/revet/pkg/pipeline/osv"
)

// verify reads every record of a layer: it must be one, be there once, be found by
// the names of all its packages, and one must be as new as the config says.
func (s *shard) verify(ctx context.Context, e Ecosystem) error {
	index := map[place][]string{}
	err := s.names(ctx, func(name string, at []place) error {
		for _, p := range at {
			index[p] = append(index[p], name)
		}
		return nil
	})
	if err != nil {
		return err
	}
	ids, dated := map[string]bool{}, false
	for b := range s.blocks {
		if err := ctx.Err(); err != nil {
			return err
		}
		lines, err := s.block(b)
		if err != nil {
			return err
		}
		for l, raw := range lines {
			r, err := osv.Parse(raw)
			if err != nil {
				return fmt.Errorf("record %d of block %d: %w", l, b, err)
			}
			if err := known(r, e.Name, index[place{b, l}], ids); err != nil {
				return err
			}
			dated = dated || r.Modified.Truncate(time.Second).Equal(e.Modified)
		}
	}
	if len(ids) != s.records {
		return fmt.Errorf("its blocks hold %d records, and its index names %d", len(ids), s.records)
	}
	if !dated {
		return fmt.Errorf("no record is of %s, of which the newest is said to be", e.Modified.Format(time.RFC3339))
	}
	return nil
}

func known(r osv.Record, ecosystem string, names []string, ids map[string]bool) error {
	if ids[r.ID] {
		return fmt.Errorf("record %s is there twice", r.ID)
	}
	ids[r.ID] = true
	if in := namesIn(r, ecosystem); !slices.Equal(names, in) {
		return fmt.Errorf("record %s tells of the packages %.200q, and the index finds it by %.200q", r.ID, in, names)
	}
	return nil
}

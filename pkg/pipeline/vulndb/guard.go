package vulndb

import (
	"fmt"
	"time"
)

// Guard returns an error if next is a step back from before: if it lacks a provider or an
// ecosystem, has lost a quarter of the records of one, or is older.
func Guard(before, next Config) error {
	providers := map[string]int{}
	for _, p := range next.Providers {
		providers[p.Name] = p.Records
	}
	for _, p := range before.Providers {
		if err := lost("the provider", p.Name, p.Records, providers[p.Name]); err != nil {
			return err
		}
	}
	ecosystems := map[string]int{}
	for _, e := range next.Ecosystems {
		ecosystems[e.Name] = e.Records
	}
	for _, e := range before.Ecosystems {
		if err := lost("the ecosystem", e.Name, e.Records, ecosystems[e.Name]); err != nil {
			return err
		}
	}
	if next.AsOf.Before(before.AsOf) {
		return fmt.Errorf("the new one is from %s, but the old one is from %s", next.AsOf.Format(time.RFC3339), before.AsOf.Format(time.RFC3339))
	}
	return nil
}

func lost(what, name string, before, next int) error {
	switch {
	case next == 0 && before > 0:
		return fmt.Errorf("the new one has no records of %s %s; the old one has %d", what, name, before)
	case 4*next < 3*before:
		return fmt.Errorf("the new one has %d records of %s %s; the old one has %d", next, what, name, before)
	}
	return nil
}

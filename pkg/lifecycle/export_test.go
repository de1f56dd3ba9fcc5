package lifecycle

import (
	"maps"
	"slices"
)

// Actions returns all actions.
func Actions() []Action { return slices.Sorted(maps.Keys(actionNames)) }

// Causes returns the table of causes.
func Causes() []CauseRule { return causes() }

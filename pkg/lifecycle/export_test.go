package lifecycle

import (
	"maps"
	"slices"
)

// Actions returns all actions.
func Actions() []Action { return slices.Sorted(maps.Keys(actionNames)) }

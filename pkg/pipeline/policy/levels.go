package policy

import (
	"fmt"
	"slices"

	yaml "go.yaml.in/yaml/v3"

	"github.com/revet-dev/revet/pkg/pipeline/result"
)

// knownExploited can be listed beside the levels. It means vulnerabilities that CISA knows to be
// exploited.
const knownExploited result.Level = "known-exploited"

// named returns the words that failOn and onlyIfFixed accept.
func named() []result.Level { return append(result.Levels(), knownExploited) }

// levels reads failOn and onlyIfFixed.
func (p *Policy) levels(f file) error {
	failOn := []result.Level{result.LevelCritical, result.LevelHigh, result.LevelUnknown}
	if !none(f.FailOn) {
		var err error
		if failOn, err = levelList("failOn", f.FailOn); err != nil {
			return err
		}
	}
	p.warn = map[result.Level]bool{}
	for _, l := range result.Levels() {
		p.warn[l] = !slices.Contains(failOn, l)
	}
	p.failExploited = slices.Contains(failOn, knownExploited)

	ifFixed, err := onlyIfFixed(f.OnlyIfFixed)
	if err != nil {
		return err
	}
	p.ifFixed = map[result.Level]bool{}
	for _, l := range ifFixed {
		p.ifFixed[l] = true
	}
	p.exploitedIfFixed = slices.Contains(ifFixed, knownExploited)
	delete(p.ifFixed, knownExploited)
	return nil
}

// levelList reads a list of levels without duplicates.
func levelList(field string, n yaml.Node) ([]result.Level, error) {
	var levels []result.Level
	// The decoder skips empty entries.
	if err := n.Decode(&levels); err != nil || len(levels) != len(target(n).Content) {
		return nil, fmt.Errorf("%s (line %d): write a list of %q", field, n.Line, named())
	}
	for i, l := range levels {
		switch {
		case !slices.Contains(named(), l):
			return nil, fmt.Errorf("%s (line %d): unknown level %.40q; accepted are %q", field, n.Line, l, named())
		case slices.Contains(levels[:i], l):
			return nil, fmt.Errorf("%s (line %d): level %q is listed twice", field, n.Line, l)
		}
	}
	return levels, nil
}

// onlyIfFixed reads true, false or a list of levels. True means all levels, but not
// known-exploited: waiting is no option for an exploited vulnerability, unless somebody writes that
// down.
func onlyIfFixed(n yaml.Node) ([]result.Level, error) {
	var all bool
	switch {
	case none(n):
		return result.Levels(), nil
	case n.Kind == yaml.ScalarNode && n.Tag == "!!bool" && n.Decode(&all) == nil:
		if all {
			return result.Levels(), nil
		}
		return nil, nil
	case n.Kind == yaml.SequenceNode:
		return levelList("onlyIfFixed", n)
	default:
		return nil, fmt.Errorf("onlyIfFixed (line %d): accepted are true, false, or a list of %q", n.Line, named())
	}
}

// fails reports whether a vulnerability fails the image if nothing waives it.
func (p Policy) fails(v result.Vulnerability) bool {
	fixed := len(v.FixedIn) > 0
	if p.failExploited && v.KnownExploited && (fixed || !p.exploitedIfFixed) {
		return true
	}
	return !p.warn[v.Level] && (fixed || !p.ifFixed[v.Level])
}

package osv

import (
	"strings"

	cvss20 "github.com/pandatix/go-cvss/20"
	cvss30 "github.com/pandatix/go-cvss/30"
	cvss31 "github.com/pandatix/go-cvss/31"
	cvss40 "github.com/pandatix/go-cvss/40"

	"github.com/revet-dev/revet/pkg/pipeline/findings"
)

// Rating is how bad a vulnerability is, and why that is said.
type Rating struct {
	Level findings.Level
	// Score is the base score of CVSS, 0 where there is none.
	Score float64
}

// Rate returns how bad r is for the package that a names: what is said of the
// package goes before what is said of the record.
func (r Record) Rate(a Affected) Rating {
	for _, severities := range [][]Severity{a.Severity, r.Severity} {
		if rating, ok := worst(severities); ok {
			return rating
		}
	}
	for _, s := range []string{a.Database.Severity, a.Specific.Severity, r.Specific.Severity, a.Specific.Urgency, a.Database.Urgency} {
		if level, ok := word(s); ok {
			return Rating{Level: level}
		}
	}
	return Rating{Level: findings.Unknown}
}

// worst returns the worst of what can be read. A vector that cannot is as if it
// were not there: the others, or the words, may say it.
func worst(severities []Severity) (Rating, bool) {
	var out Rating
	found := false
	for _, s := range severities {
		next, ok := read(s)
		if ok && (!found || rank(next) > rank(out)) {
			out, found = next, true
		}
	}
	return out, found
}

// rank orders ratings: those by score, and then those by word alone.
func rank(r Rating) float64 {
	if r.Score > 0 {
		return r.Score
	}
	switch r.Level {
	case findings.Critical:
		return 9
	case findings.High:
		return 7
	case findings.Medium:
		return 4
	case findings.Low:
		return 0.1
	default:
		return 0
	}
}

func read(s Severity) (Rating, bool) {
	if score, ok := score(s.Score); ok {
		return Rating{Level: levelOf(score), Score: score}, true
	}
	level, ok := word(s.Score)
	return Rating{Level: level}, ok
}

// score computes the base score of a vector.
func score(vector string) (float64, bool) {
	switch {
	case strings.HasPrefix(vector, "CVSS:4.0/"):
		v, err := cvss40.ParseVector(vector)
		if err != nil {
			return 0, false
		}
		return v.Score(), true
	case strings.HasPrefix(vector, "CVSS:3.1/"):
		v, err := cvss31.ParseVector(vector)
		if err != nil {
			return 0, false
		}
		return v.BaseScore(), true
	case strings.HasPrefix(vector, "CVSS:3.0/"):
		v, err := cvss30.ParseVector(vector)
		if err != nil {
			return 0, false
		}
		return v.BaseScore(), true
	case strings.HasPrefix(vector, "AV:"):
		v, err := cvss20.ParseVector(vector)
		if err != nil {
			return 0, false
		}
		return v.BaseScore(), true
	default:
		return 0, false
	}
}

// levelOf is the qualitative scale of CVSS. What scores 0 has no impact, by its
// vector; it is low here, as it is told and fails nothing.
func levelOf(score float64) findings.Level {
	switch {
	case score >= 9:
		return findings.Critical
	case score >= 7:
		return findings.High
	case score >= 4:
		return findings.Medium
	default:
		return findings.Low
	}
}

// word reads what GitHub, Ubuntu, Debian and Red Hat say in a word.
func word(s string) (findings.Level, bool) {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "critical":
		return findings.Critical, true
	case "high", "important":
		return findings.High, true
	case "medium", "moderate":
		return findings.Medium, true
	case "low", "negligible", "minor", "unimportant":
		return findings.Low, true
	default:
		return findings.Unknown, false
	}
}

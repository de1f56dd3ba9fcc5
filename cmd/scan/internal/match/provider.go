package match

import (
	"errors"
	"runtime/debug"
	"sync"

	"github.com/anchore/grype/grype/vulnerability"
)

// listening is a provider that remembers failed queries.
type listening struct {
	vulnerability.Provider

	mu  sync.Mutex
	err error
}

// FindVulnerabilities implements vulnerability.Provider.
func (l *listening) FindVulnerabilities(criteria ...vulnerability.Criteria) ([]vulnerability.Vulnerability, error) {
	found, err := l.Provider.FindVulnerabilities(criteria...)
	l.hear(err)
	return found, err
}

func (l *listening) hear(err error) {
	if err == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil { // the first error is enough
		l.err = err
	}
}

func (l *listening) failed() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return errors.Join(l.err)
}

// libraryVersion returns the version of the linked Grype.
func libraryVersion() string {
	if build, ok := debug.ReadBuildInfo(); ok {
		for _, m := range build.Deps {
			if m.Path == "github.com/anchore/grype" {
				return m.Version
			}
		}
	}
	return "unknown"
}

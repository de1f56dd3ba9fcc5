package stepcmd

import (
	"fmt"

	"github.com/spf13/pflag"
)

// The values of the flag --scan.
const (
	scanOn  = "On"
	scanOff = "Off"
)

// Scan is the pipeline owner's choice whether to look for vulnerabilities. The zero value says yes.
type Scan struct{ Off bool }

var _ pflag.Value = (*Scan)(nil)

// Flag declares the flag of s.
func (s *Scan) Flag(f *pflag.FlagSet) {
	f.Var(s, "scan", scanOn+", or "+scanOff+" to skip the vulnerability scan; the verdict says so")
}

// Set implements pflag.Value.
func (s *Scan) Set(value string) error {
	switch value {
	case scanOn, scanOff:
		s.Off = value == scanOff
		return nil
	default:
		return fmt.Errorf("accepted are %s and %s", scanOn, scanOff)
	}
}

// String implements pflag.Value.
func (s *Scan) String() string {
	if s.Off {
		return scanOff
	}
	return scanOn
}

// Type implements pflag.Value.
func (s *Scan) Type() string { return scanOn + "|" + scanOff }

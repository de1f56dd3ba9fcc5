package demo

import "fmt"

// Account is what became of the pushes.
type Account struct {
	Pushed, Passed, Failed int
	// Lost counts pushes without a verdict: never recorded, never run, or ended
	// without one.
	Lost int
}

// String returns the line that a demo ends with.
func (a Account) String() string {
	return fmt.Sprintf("demo: pushed %d, passed %d, failed %d, lost %d", a.Pushed, a.Passed, a.Failed, a.Lost)
}

// AsExpected reports whether the good image passed, the bad and the vulnerable one
// failed, and nothing was lost.
func (a Account) AsExpected() bool {
	return a == Account{Pushed: 3, Passed: 1, Failed: 2}
}

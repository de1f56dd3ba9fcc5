// Package commandtest runs commands of kubectl-revet in tests: against clusters made of
// objects, with a clock that stands still, and with golden files.
package commandtest

// Package get is the command "get", which prints the ledger.
package get

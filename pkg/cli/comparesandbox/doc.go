// Package comparesandbox is the command "compare-sandbox", which measures what a
// RuntimeClass costs.
//
// Contract: its runs are made by the trigger's own template and belong to no entry of the
// ledger. It removes everything that it creates, except a run that failed.
package comparesandbox

// Package completion is the command "completion", which prints shell completion scripts.
package completion

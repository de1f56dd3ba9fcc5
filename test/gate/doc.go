// Package gate holds the tests of gates against a real API server.
package gate

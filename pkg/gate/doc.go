// Package gate says what an ImageGate concludes about a digest, and what the API server has
// to know so that it concludes the same without asking. It is pure: it reads and writes
// nothing.
package gate

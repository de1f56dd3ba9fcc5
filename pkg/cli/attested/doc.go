// Package attested says where entries stand with signed verdicts, for the commands that show it:
// what their records say, and why a verdict has none.
//
// Contract: what decides is the attestor's own code, over the entry, its trigger, the operator's
// list and the attestor's report, read with the rights of whoever asks. What may not be read
// makes the answer NotKnown, and never a good one. Nobody needs to read a key.
//
//	look.go      all that is read about some entries
//	world.go     what is read of who signs
//	standing.go  why a verdict has no statement
//	record.go    what a record says, and the cure of what it tells
package attested

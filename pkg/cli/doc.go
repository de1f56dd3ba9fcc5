// Package cli is the command line "kubectl revet".
//
// Contract: Run parses arguments, runs one command and returns the exit status:
// 0, 1 for an error, 2 for a wrong use of the command line. Results go to
// standard output, everything else to standard error. Commands read; none of
// them writes to the cluster.
//
//   - pushes prints the pushes that recorded steps, objects or CloudEvents show.
//     It calls the conversion and the detection that the receiver calls.
//   - get prints the ledger.
//   - coverage prints for each trigger whether every push is covered, as package
//     coverage has it. Its exit status is 0 only for a proof: 1 for a gap, a doubled
//     run or what could not be looked at, 2 for an error.
//   - explain prints the whole story of one image. A Story is built from an
//     ImageVerification by a pure function, and both of its forms, text and JSON,
//     are printed from it.
package cli

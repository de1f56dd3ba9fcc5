// Package cli is the command line "kubectl revet".
//
// Contract: Run parses arguments, runs one command and returns the exit status:
// 0, 1 for an error, 2 for a wrong use of the command line. Results go to
// standard output, everything else to standard error. Commands read; only replay
// writes to the cluster, and only ids into spec.requests of ImageVerifications.
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
//   - replay adds an id to the requests of entries, against the resourceVersion
//     that was read. What it says will happen is what verdict.Next decides.
//   - doctor reads the installation and its triggers, with the functions by which
//     the controller judges them, and prints findings, each with its cure. Its
//     status is 1 if any of them is a problem.
package cli

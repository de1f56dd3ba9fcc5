// Package model holds no code. Its tests hold what the other packages do
// together to the promise that Revet makes: every push that a trigger admits,
// and that anybody was shown, is covered by one entry of the ledger.
//
// The receivers, the sweeps and the ledger are the real ones, over a storage
// that is as strict about versions as the API server, and watches that lag.
// TestModel runs random histories of a cluster against a reference model of a
// page; the fuzz targets let a fuzzer write the histories. A history that breaks
// the promise is made as short as it can be, and told step by step:
//
//	cd test && go test ./model -run 'TestModel$' -seed 7 -sequences 100000
package model

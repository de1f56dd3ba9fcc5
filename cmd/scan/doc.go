// Command scan holds the steps of the pipeline that look for packages and their
// vulnerabilities: sbom, and vulnerabilities after it, both in the layout that the
// step fetch wrote. It is a module of its own for what its library brings with it.
//
// What each promises is in the packages internal/{rootfs,extract,match} and
// pkg/pipeline/{result,policy,vulndb}. Exit status 0 means that
// the step did its work, whatever it found; 1 that it did not. The reason is one
// line on standard error and, where --results names a directory, the result
// "error".
package main

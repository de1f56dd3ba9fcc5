// Command scan holds the pipeline steps that look for packages and their vulnerabilities: sbom, and
// after it vulnerabilities. Both work in the layout that the step fetch wrote. Command scan is a
// module of its own because its libraries have many dependencies.
//
// The packages internal/{stock,packages,match} and pkg/pipeline/{result,policy,vulndb} document
// what each step promises. Exit status 0 means that the step did its work, whatever it found. Exit
// status 1 means that it did not. The step then prints the reason as one line on standard error
// and, with --results, writes it to the result "error".
package main

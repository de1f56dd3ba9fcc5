// Package source holds what everything that can show a push has in common: whose
// rights it is read with, what those rights are, and why a read failed.
//
// Contract: an Account is the service account of a trigger. Rights asks the API
// server what an account may do, and believes a yes for a short time only. A failed
// read is a *Refusal if it lasts until somebody changes something, a
// *RetryAfterError if the other side asked for patience, and any other error if
// trying again may help. The packages below it each read one kind of source:
// openshift reads ImageStreams and Images, registry reads registries.
package source

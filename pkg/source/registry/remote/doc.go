// Package remote lets sweeps read registries: it stands between the Registry that
// package sweep declares and the client of package registry.
//
// Contract: an error that asking again does not cure is a sweep.Refusal, one of a
// registry that was asked too much a sweep.PutOff. A repository, or a tag, that is
// not there is no error. Credentials are those of the account that is read for,
// believed for half a minute. Each host gets 50 requests a second at most.
package remote

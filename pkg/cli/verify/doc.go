// Package verify is the command "verify", which has a digest verified that nobody pushed
// here, such as a third party's image.
//
// Contract: it creates the ImageVerification that ledger.NewManual makes, or adds a request
// to the one that is there, and writes nothing else. It never asks a registry: a tag is
// refused. With --wait, only the verdict that answers its own request counts.
package verify

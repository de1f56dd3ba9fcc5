// Package stack installs what runs on the local cluster: Knative, Tekton, and
// Revet itself by "ko apply -f config/", as a user would.
//
// Contract: Install returns when everything serves. AddNamespace makes a
// namespace whose pushes are verified, from the repository's own eventing/ and
// triggers/. Both may be repeated.
package stack

// Package crd installs custom resource definitions and waits until they can be used.
//
// [Install] creates or updates them and returns when each version of each is established and answers a list. [Load] reads
// them from the *.yaml files of directories and leaves other kinds alone.
package crd

// Package platforms holds what pkg/image says of platforms against the libraries
// that runtimes choose by: containerd/platforms and containers/image.
//
// It is a module of its own, as the product needs neither of them.
package platforms

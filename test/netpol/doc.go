// Package netpol holds kube-router, which enforces NetworkPolicies on the cluster of the
// end-to-end tests and is compiled from its module instead of pulled. It is a module of its
// own, as kube-router brings a BGP router and the versions of Kubernetes' libraries that it was
// released with.
package netpol

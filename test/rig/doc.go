// Package rig is what the benchmarks and the chaos harness run on in common: programs of Revet, Knative and Tekton, built
// once, as processes beside a cluster of the fast tier, and the repository's manifests in it. It needs Linux.
//
// Contract: a [Process] ends with the process that started it, however that ends. [Apply] creates and never changes what
// is there. Addresses of [FreeAddress] are below the ports that the kernel gives to clients, so that no client can take
// the port of a program that is down for a while.
package rig

// Command pause is process 1 of every Pod sandbox of the local cluster.
//
// Contract: it reaps the zombies that the Pod's containers hand down to it when
// they share a process namespace, and ends with status 0 on SIGINT or SIGTERM.
// It is linked statically and is the only file of its image.
package main

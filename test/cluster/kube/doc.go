// Command kube is one binary for every Kubernetes program of the local
// cluster, etcd, CoreDNS and kubectl among them: linked once they share most of
// their code, and one cached file is quicker to build and to keep than nine.
//
// Contract: the program is chosen by the name the binary is called by, and
// otherwise by its first argument; the remaining arguments are that program's
// own. One process runs one program: a second command in one process would
// panic on its second signal handler.
//
// CoreDNS takes one argument, the path of its Corefile, and has the plug-ins
// that the local cluster's Corefile names and no others.
package main

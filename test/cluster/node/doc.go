// Package node is the node tier of the local cluster: a real single-node
// Kubernetes on one Linux machine, without Docker, a virtual machine or any
// outside registry.
//
// # Contract
//
// Up builds what is missing from the cache, starts the cluster of a checkout
// and returns when its node is Ready and its DNS answers. Down takes it away.
// Load tells what runs. There is at most one cluster for a checkout; the
// clusters of different checkouts have nothing in common but the cache of
// binaries, and choose host ports that are free.
//
// RuntimeClass "kata" is served by gVisor, which is a real second sandbox but
// is not Kata Containers: whatever prints the class says so ([KataNote]).
//
// # Processes
//
//	up ── supervisor ─┬─ janitor              outside: no namespace of its own
//	                  └─ init (process 1) ─── agent ─┬─ etcd, API server, ...
//	                                                 └─ registry, CoreDNS
//
// Init is process 1 of new mount, process and network namespaces, so that its
// death ends every process, mount and network device of the cluster at once.
// It dies with the supervisor, by parent-death signal and by a pipe. What the
// namespaces do not hold, cgroups and files, the janitor removes: it waits for
// the supervisor's end on a pipe, whatever ended it. If the janitor dies the
// supervisor does its work and ends too. So no single SIGKILL, at whatever
// moment, leaves anything but log files and empty directories: /var/lib/kubelet
// and /var/lib/cni are mount points inside, and stay on the host, empty. Where
// supervisor and janitor are killed together, the next Up or Down cleans up.
// Components that die are started again; one that keeps dying ends the cluster.
//
// There is no network device on the host. The API server and the registry are
// reached through listeners on 127.0.0.1 that the host opens and the agent
// accepts on: a socket stays in the network namespace it was made in.
//
// # Addresses inside
//
//	10.88.0.1      the node: API server 6443, registry 5000, CoreDNS 53
//	10.88.0.0/24   Pods
//	10.96.0.0/16   Services; DNS is 10.96.0.10
//
// There is no route out: Pods reach one another, Services and the registry.
// CoreDNS is a process of the node behind a Service without selector, not a
// Pod: node processes need it before the first image can be pulled (the
// registry resolves Services), and it saves an image of its own at every start.
// The host name of the registry is the one that OpenShift gives it,
// image-registry.openshift-image-registry.svc:5000; the node's containerd
// reaches it, and localhost:PORT, over plain HTTP.
//
// # State
//
// Below the cache directory: bin/<name>-<key>/ binaries by version,
// clusters/<id>/ the running cluster's kubeconfig, cluster.json and logs/,
// clusters/<id>.registry/ the registry's content. Only the logs and the
// registry's content outlive the cluster.
//
// Host settings that the kubelet would change (kernel.panic and others) are
// left alone: it is shown files in their place.
package node

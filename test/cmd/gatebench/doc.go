// Command gatebench measures what an ImageGate costs, on real parts. It needs Linux.
//
//	make bench-gate
//	make bench-gate GATEBENCH="-parts create -sizes 1000 -rounds 1"
//
// It ends with exit status 1 if a goal is missed, and says of each goal what was measured.
//
// # What runs
//
// etcd, the API server of Kubernetes, and Revet's controller as it is shipped, under its own account, each a process of
// its own, so that each one's memory is its own. There are no kubelet and no other controllers: Pods are stored and never
// run, and the garbage collector does nothing.
//
// etcd syncs what it writes to the disk, as in production, unless -fsync=false says otherwise: every request is faster
// then, those without a gate too, and what a gate adds weighs more. It has its default quota of 2 GiB, does not compact by
// itself, and is not defragmented, so that the size of its file only grows. The API server compacts it every five minutes,
// its default, down to the revision of five minutes before: what was overwritten stays for five to ten minutes.
//
// # Part create
//
// The time in which the API server answers the creation of a Pod, seen by its client, one Pod at a time: without any gate,
// and in a namespace behind a gate in mode Deny with each of the numbers of verified digests. A round measures each of
// these once, and every round begins with another one. Policies and bindings are in force during their own measurement
// only. The Pods are made for real, and each is deleted before the next.
//
// A gate's policies, and what they look up, are made by the same functions as the controller's (pkg/gate) and written
// directly: 150,000 entries of the ledger would take long to write, and nothing about creating a Pod depends on them. Above
// 12,000 digests there are sixteen policies and objects. All objects exist all the time, so that the API server holds the
// same in each state once the first gate was in force.
//
// # Part latency
//
// The real controller keeps one gate. Idle: one verdict at a time, for a new digest that passed and then for the same
// digest that failed. Under load: verdicts at a rate, each for a new digest that passed, but for every tenth, which fails a
// digest that passed before. The time begins just before the request that writes the verdict into the ledger, and ends with
// the first answer that admits, or refuses, a Pod with the digest. Pods are tried in dry-run; one answer is awaited before
// the next question, and the time between is printed. Under load one Pod is tried for passes and one for failures, so that
// not every verdict is measured.
//
// # Part growth
//
// Under the same load, once a second: how large etcd's file is and how much of it is in use, and what API server and
// controller hold. Growth is the most that was seen, less what there was just before. With -gate=false the same verdicts are
// written and there is no gate: the difference is what a gate adds.
package main

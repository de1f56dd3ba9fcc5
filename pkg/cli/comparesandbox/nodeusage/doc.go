// Package nodeusage reads what Pods used from the kernel of the node that they ran
// on: their control groups and the counters of their network interfaces.
//
// A Pod's group holds everything that runs it: a sandbox's kernel or virtual machine
// is in it as well as the containers' processes, so that the figures of different
// RuntimeClasses can be compared. The kubelet's own figures cannot show Pods of
// seconds: it samples them every 10 s and forgets them as they end.
package nodeusage

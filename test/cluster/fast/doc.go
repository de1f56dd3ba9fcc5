// Package fast is the fast tier of the local cluster: etcd and the API server of Kubernetes inside the calling process.
// It needs no root, no binary and no network beyond 127.0.0.1, and is ready in seconds: it is what tests run against.
//
// # Contract
//
//	c, err := fast.Start(ctx, fast.Options{Registry: &fast.RegistryOptions{}, CRDDirs: []string{"../../config"}})
//	defer c.Stop()
//	c.RESTConfig()                 // cluster administrator
//	c.UserConfig("jane", "devs")   // anybody else, with RBAC on
//	c.Kubeconfig()                 // the administrator's, as a file, for other processes
//	c.Registry().Addr()            // push here, to <namespace>/<stream>:<tag>; ImageStreams and Images follow
//
// [Start] returns when the API server is ready, its own roles are in place, and everything that [Options] asks for
// works. [Cluster.Stop] ends all of it and removes its files. [Cluster.Restart] stops the API server and starts it again
// with the same data, address and certificates: clients lose their connections and watches, and are refused in between.
// [Cluster.StopAPIServer] and [Cluster.StartAPIServer] do so in two steps.
//
// A cluster whose [Options] name Dir and Addr can be a process of its own that is killed and started again: objects,
// certificates and address stay, and what watches knew is lost. [UserConfig] is how others get at it.
//
// [StartEtcd] runs the etcd of a cluster apart from its API server, whose [Options] then name it.
//
// A process can start clusters one after another. Two at once are refused: the API server keeps process-wide state.
//
// # What it is not
//
// There are no controllers, scheduler or kubelet. Pods are stored and never run; namespaces that are deleted stay
// Terminating; owners' deletion does not delete what they own; no ServiceAccount is created in a namespace, for which
// reason the admission plug-in ServiceAccount is off unless [Options.ServiceAccountAdmission] is set; Services get
// addresses that nobody serves.
//
// # Logging
//
// klog's and etcd's output is kept in memory, the newest 64 KiB of it, and becomes part of the error when a start fails.
// klog is the process's, so this holds for its other users too. The API server's etcd client cannot be kept from writing
// a few warnings to the standard error when a server stops.
package fast

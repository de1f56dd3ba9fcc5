// Package lease lets a process act only while it leads.
//
// Example: the controller makes a Guard for each of its queues, sends a request to a
// sink within Guard.Hold, and writes statuses through a Client.
//
// Leader election itself reports only that leading began and, some time after the
// fact, that it ended. A process that was stopped and continues believes that it leads
// for as long as it tries to renew. So Watch observes the reads and writes of Lease
// objects on their way.
//
// Nobody takes over a lease that a request begun at t wrote before t plus the lease's
// duration, because others count from when they first see the write. Only times of one
// machine are compared. Clocks may differ; their speeds must not differ by more than the
// margin.
//
// No clock can tell that a process was stopped between reading it and the next thing it
// does. What runs under a lease is therefore harmless when it comes too late: a request
// carries a run's name, which is taken once, or was recorded under the entry's
// resourceVersion by the one process that may send it; and a status is written under the
// resourceVersion that was read.
package lease

// Package fair divides what a process has among namespaces, so that what one does costs others
// nothing, or a bounded share.
//
// Contract: Turns says who of many keys may begin slow work, and wakes those that wait. Kept is
// a bounded cache in which one namespace cannot displace what others keep, unless it holds the
// most. Both are safe for concurrent use, hold nothing of a namespace that has nothing in them,
// and may be lost: nothing is right only because of them.
package fair

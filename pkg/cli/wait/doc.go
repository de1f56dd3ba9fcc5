// Package wait is the command "wait", which stands between a build and a deployment: it
// waits until every image that was pushed has its verdict.
//
// Contract: it reads ImageVerifications by get and list, and changes nothing. It succeeds
// only if every image passed. An image that nobody recorded, whose runs ended in Error, or
// that a trigger left out has not passed.
package wait

// Command probe looks at a node from a Pod, for "kubectl revet compare-sandbox".
//
//	probe watch           prints what each Pod used, as JSON, when it has ended
//	probe remove-images   removes images from the node, so that the next Pod pulls them
//
// The first needs the node's process IDs and its control groups, to read; no user of
// its own and no privilege. The second needs the socket of the node's container
// runtime, which is as good as being root there.
package main

// Package tree shows a flattened image to Syft.
//
// Contract: what Syft is given is the tree that runtimes show, with an entry for every
// directory, and nothing else: Syft unpacks no layer. Names keep their bytes, whether
// they are UTF-8 or not. A link is followed within the tree only.
package tree

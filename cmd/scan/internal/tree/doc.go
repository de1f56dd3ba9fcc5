// Package tree shows a flattened image to Syft.
//
// Contract: Syft gets exactly the tree that runtimes show, with an entry for every directory. It
// unpacks no layer. Names keep their bytes, whether they are UTF-8 or not. Links are followed only
// within the tree.
package tree

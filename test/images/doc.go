// Package images builds the images that the demo and the end-to-end tests
// push, each with the verdict that it deserves.
//
// Contract: samples are built from code, with the same options to the same
// digest. Build with a Salt to get a digest that no earlier run has pushed.
// Nothing in them is secret; what looks so says that it is not.
package images

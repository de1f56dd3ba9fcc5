// Package stock takes stock of all images of a layout: what packages they have, and
// what of them could not be read.
//
// Contract: every image is looked into, or there is an error. What could not be read is
// a gap of the image, in the inventory and in the SBOM.
package stock

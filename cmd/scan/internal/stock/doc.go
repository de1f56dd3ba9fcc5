// Package stock lists the packages in all images of a layout, and what it could not read.
//
// Contract: Take examines every image, or returns an error. What it could not read becomes a gap of
// the image, in the inventory and in the SBOM.
package stock

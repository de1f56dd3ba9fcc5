// Package inventory holds which packages are in the images of a layout: all that
// vulnerabilities are looked for with, so that they can be looked for again later,
// without the image.
//
// Contract: it names every image that was looked into, and tells of what was there
// and could not be read, so that nothing passes because it was not seen. The
// file that Write leaves in the layout is of the digest that was fetched; Read
// refuses one of anything else, and one whose packages own what is not in it.
package inventory

// Package inventory holds which packages are in the images of a layout: what an
// SBOM is written from, and what vulnerabilities are looked for.
//
// Contract: it names every image that was looked into, and tells of what was there
// and could not be read, so that nothing passes because it was not seen. The
// file that Write leaves in the layout is of the digest that was fetched; Read
// refuses one of anything else.
package inventory

// Package packages takes stock of the packages in an image, with Syft.
//
// Contract: what Syft is given is the image's tree, as runtimes show it; it asks
// nothing of the Internet and unpacks no layer. What it could not read is kept, and so
// is a package without a version. What it passes over in silence is what package guard
// looks for.
package packages

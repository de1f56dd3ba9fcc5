// Package packages lists the packages in an image, with Syft.
//
// Contract: Syft gets the image's tree as runtimes show it, makes no requests to the Internet, and
// unpacks no layer. Package packages keeps a list of what Syft could not read, and keeps packages
// without a version. Package guard looks for what Syft skips silently.
package packages

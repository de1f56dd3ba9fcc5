// Package extract takes stock of the packages in images, with osv-scalibr's readers
// of package databases and of files that packages leave behind.
//
// Contract: every image of a tree is looked into, or there is an error. A package
// database of a distribution that cannot be read, or is a symbolic link to somewhere
// else, is an error: nothing would be known of the image. A distribution without one
// is told with the image. Another file that cannot be read, such as a package.json
// that is none, is told with the image. Packages have the names, the versions and
// the ecosystems by which OSV knows them; what of that osv-scalibr does otherwise is
// in convert.go.
//
// What is read: Debian's and opkg's status, Alpine's installed, RPM's database; Go
// programs, by their build information; Python's wheels and eggs; package.json;
// Java's archives. Readers are listed one by one, as each costs time to compile and
// can be fed by a stranger.
package extract

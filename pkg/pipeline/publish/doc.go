// Package publish pushes reports beside an image, as artefacts that refer to it:
// whoever has the digest finds them, with any client that knows OCI 1.1.
//
// Contract: Push writes one artefact whose subject is the image. It returns after
// the registry listed it among the image's referrers. A registry without the
// referrers API is given the fallback tag sha256-HEX instead, an index that clients
// read, change and write: who writes at the same time overwrites others, so that
// it is read again, after a pause too, and written again until the artefact stays.
//
// In that list the newest artefact of a kind takes the place of older ones; they
// stay in the registry until its own retention removes them.
//
// What is pushed cannot run, has no tag of its own, and names its subject: Revet
// tells from the manifest that it is no push of an image.
package publish

// Package publish pushes reports beside an image, as artefacts that refer to it. Whoever
// has the digest of the image finds them with any client that knows OCI 1.1.
//
// Push writes one artefact whose subject is the image, and returns after the registry
// lists it among the image's referrers. If the registry has no referrers API, Push adds
// the artefact to the list under the fallback tag sha256-HEX. That list is an index, which
// clients read, change and write. Concurrent writers overwrite one another, so Push reads
// the list again, after a pause too, and writes it again until the artefact stays in it.
//
// In that list, the newest artefact of a kind replaces older ones. Those stay in the
// registry until its own retention removes them.
//
// Registries differ in what they refuse. Each child of the list has a platform, since
// OpenShift's registry takes no other list. If a registry refuses a list that names
// something it does not have any more, Push leaves that out. If it refuses the field
// artifactType, the configuration's media type names the type instead. What is refused
// all the same is oci.ReasonPushRefused, and Push does not send it again.
//
// What Push writes cannot run, has no tag of its own, and names its subject. Revet sees
// from the manifest that it is no push of an image.
package publish

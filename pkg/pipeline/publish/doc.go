// Package publish pushes reports and attestations beside an image, as artefacts that refer to it. Anyone who has the
// image's digest can find them with any client for OCI 1.1.
//
// Push writes one artefact whose subject is the image, and returns once the registry lists it among
// the image's referrers. If the registry has no referrers API, Push adds the artefact to the list
// under the fallback tag sha256-HEX. That list is an index, which each client reads, changes and
// writes back, so concurrent writers overwrite one another: no registry has a write that fails if
// somebody else was faster. Push therefore reads the list directly before it writes, while the
// registry takes the write, and twice afterwards. It writes again until the artefact stays in the
// list, and with it all that others had there at any of these looks. fallback.go has this rule, and
// Remove keeps to it too.
//
// Two losses remain. A writer that does not read again may drop what others added, later than Push
// looks. And what another writer stores between the last look and the registry's taking the list is
// dropped unseen, and stays so if that writer does not look again.
//
// In that list, the newest artefact of a kind replaces older ones. The older ones stay in the
// registry until its own retention policy removes them.
//
// Registries differ in what they refuse. OpenShift's registry refuses a list with a child that has
// no platform, so Push gives every child one. If a registry refuses a list because it no longer has
// one of the children, Push leaves that child out. If it refuses the field artifactType, Push names
// the type in the configuration's media type instead. If the registry still refuses, Push returns
// oci.ReasonPushRefused and does not try again.
//
// Remove takes artefacts out of the list and deletes them, and leaves what others put there.
//
// What Push writes cannot run, has no tag of its own, and names its subject. From the manifest
// Revet sees that it is not a push of an image.
package publish

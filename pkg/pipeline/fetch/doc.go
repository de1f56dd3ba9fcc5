// Package fetch pulls one image by digest into an image layout and believes
// nothing that it did not recompute.
//
// Contract: after Fetch returned without error, every byte of the image is in
// the layout, and these digests were recomputed from the bytes: of the index
// and of every manifest that it names, of every configuration, of every layer
// as it is stored, and of every layer as it unpacks (the configuration's
// diff_ids). Sizes, numbers, depth and the unpacked size are bounded, the latter
// for each layer also as a multiple of its stored size; a layer is never held in
// memory. Where runtimes read the layers of an image differently, Fetched says so; what
// cannot be unpacked at all (xz, encryption) is said there too, and its diff_id is not
// compared. A child that an index names and the registry does not have is an error,
// as is content that cannot run. Selected pulls only the chosen platforms of
// an index; one that is not there is an error.
//
// Registry is the source for real registries. It speaks plain HTTP only to
// hosts that its options list, follows redirects only to HTTPS or to such
// hosts, never to a private address by number, and sends credentials to
// nobody but the registry and the token service that it names. The authorities of
// its options hold for all of them.
//
// It has Patience: what fails for now is asked again, and a registry that says how
// long to wait is obeyed, both within bounds; a wait that is longer is told at once,
// as RateLimited or RegistryUnavailable, with its end. A blob that is cut off is
// asked for from the missing byte on, or again where the registry cannot do that;
// the digest is of the whole in any case. A session that ends is begun anew once.
// Referrers lists what refers to an image, whole or not at all.
//
// Errors are *oci.Error; their reasons are typed.
package fetch

// Package fetch pulls one image by digest into an image layout, and trusts nothing that it
// did not recompute.
//
// After Fetch returns without an error, the layout holds every byte of the image, and Fetch
// has recomputed these digests: of the index and every manifest that it names, of every
// configuration, of every layer as stored, and of every layer as it unpacks (the diff_ids of
// the configuration). Sizes, numbers, depth and the unpacked size are bounded, the latter
// also as a multiple of a layer's stored size. No layer is held in memory. Fetched reports
// layers that runtimes read differently, and those that it cannot unpack (xz, encryption),
// whose diff_id it does not compare. Content that cannot run, and a child of an index that
// the registry does not have, are errors. So is a selected platform without an image.
//
// Registry is the Source for real registries. It speaks plain HTTP only to hosts that its
// options list. It follows redirects only to HTTPS or to such hosts, and never to a private
// address by number. It sends credentials only to the registry and the token service that
// the registry names. The certificate authorities of its options apply to all of them.
//
// Patience bounds retries. A Registry repeats what may succeed later, and waits as long as a
// registry asks it to. It reports a longer wait at once, as RateLimited or
// RegistryUnavailable, with the time when it ends. It resumes a blob that breaks off, or
// pulls it again if the registry cannot send a part. It renews an expired session once.
// Referrers returns the whole list of what refers to an image, or an error.
//
// OpenLocal opens an image that is in no registry: a layout, or an archive. ClassifyPush and
// Repeatable decide on failed pushes for the packages that write to registries.
//
// Errors are *oci.Error, with a typed reason.
package fetch

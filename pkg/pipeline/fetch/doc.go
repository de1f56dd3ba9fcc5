// Package fetch pulls one image by digest into an image layout, and trusts nothing that it did not
// recompute.
//
// If Fetch returns no error, the layout holds every byte of the image. Fetch has then recomputed
// the digest of the index, of every manifest that it names, of every configuration, of every stored
// layer, and of every unpacked layer (the diff_ids in the configuration). It bounds sizes, counts,
// depth and unpacked bytes, the latter also as a multiple of a layer's stored size. It holds no
// layer in memory. Fetched reports layers that runtimes read differently. It also reports layers
// that Fetch cannot unpack (xz, encryption); Fetch does not compare their diff_ids. It is an error
// if the content cannot run, if the registry lacks a child of an index, or if a selected platform
// has no image.
//
// Registry is the Source for real registries. It uses plain HTTP only for hosts that its options
// list. It follows redirects only to HTTPS or to such hosts, and never to a private IP address. It
// sends credentials only to the registry and to the token service that the registry names. The
// certificate authorities in its options apply to all of them.
//
// Patience bounds retries. A Registry repeats requests that may succeed later, and waits as long as
// the registry asks it to. If the registry asks for a longer wait than Patience allows, the
// Registry reports that at once, as RateLimited or RegistryUnavailable, with the time when the wait
// ends. If a blob breaks off, the Registry resumes it, or pulls it again if the registry cannot
// send a part. It renews an expired session once. Referrers returns an image's complete list of
// referrers, or an error.
//
// OpenLocal opens an image that is in no registry: a layout or an archive. ClassifyPush and
// Repeatable judge failed pushes for the packages that write to registries.
//
// Errors are *oci.Error, with a typed reason.
package fetch

// Package registry reads images from registries.
//
// Contract:
//   - A Client speaks only to hosts that the operator lists for a namespace, token hosts
//     included, and speaks plain HTTP only where the operator says so. It refuses
//     everything else as NotAllowed, before any connection. Only a blob may come from
//     elsewhere: a registry may redirect it, by HTTPS, to a public address, which gets no
//     credentials.
//   - The operator's certificate authorities count beside the system's, by host.
//   - Credentials are those of the account that is read for, never Revet's. A Reader keeps
//     an account's pull secrets for 30 s, and reads them again at once if the registry
//     denies a read with kept ones.
//   - What a digest is, its bytes say, whatever their Content-Type. One thing the registry is
//     believed: the beginning of a large blob that an index itself declares to be no
//     manifest, and that the registry does not have as one.
//   - Head's digest is the registry's claim, unless HEAD does not tell one. Tagged, Content
//     and Facts recompute every digest from the bytes. Only a registry's own 404 to a GET
//     means that a tag does not exist. A digest that cannot be pulled by sha256 is refused
//     as DigestUnsupported.
//   - A list is whole, or an error that wraps source.ErrIncomplete. Lists are bounded in
//     names, bytes, pages and time.
//   - Reads are bounded: a manifest by 4 MiB, an image configuration by 8 MiB, the facts of
//     an index by 64 children. To tell whether a digest can run, Content reads up to 1024
//     children, and 4 MiB of these and of layers together, within half of the time that the
//     caller has. What it cannot read is not known, and so counts as runnable.
//   - A 429, or a 503 with Retry-After, holds for the whole host and for all users of a
//     Client. If the time fits in 10 s and in the caller's deadline, the Client waits and
//     sends the request again, twice at most. Otherwise it returns a
//     *source.RetryAfterError at once, and sends nothing to the host before that time. It
//     retries nothing else, as callers have deadlines. Work that can wait is Paced.
//   - A *source.Refusal lasts until somebody changes something. Any other error may pass.
package registry

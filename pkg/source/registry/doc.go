// Package registry reads images from registries.
//
// Contract:
//   - Only hosts that the operator lists for a namespace are spoken to, token
//     hosts and the targets of redirects included; plain HTTP only where the
//     operator says so. Everything else is refused as NotAllowed, before any connection.
//   - Credentials are those of the account that is read for, never Revet's.
//   - Reads are bounded: a manifest by 4 MiB, an image configuration by 8 MiB,
//     the facts of an index by 64 children. To tell whether a digest can run, up to
//     1024 children are read, and 4 MiB of these and of layers together, within
//     half of the time that the caller has. Nothing is retried here, as callers have deadlines,
//     except what a registry itself asks to have later:
//   - A 429, or a 503 with Retry-After, holds for the whole host and for all users of
//     a Client. If the time fits in 10 s and in the caller's deadline, the Client waits
//     and sends the request again, twice at most. Otherwise it returns a
//     *source.RetryAfterError at once, and sends nothing to the host before that time.
//     Work that can wait is Paced.
//   - What a digest is, its bytes say, whatever their Content-Type. One thing is
//     believed of the registry: the beginning of a large blob that an index itself
//     declares to be no manifest, and that the registry does not have as one.
//   - Head's digest is the registry's claim. Content and Facts recompute every
//     digest from the bytes; what differs from the digest asked for is an error.
//   - A *source.Refusal lasts until somebody changes something. Any other error may pass.
//   - A Reader reads with the pull secrets of an account. It keeps them for 30 s, and
//     reads them again at once if the registry denies a read with kept ones.
package registry

// Package registry reads images from registries.
//
// Contract:
//   - Only hosts that the operator lists for a namespace are spoken to, token
//     hosts and the targets of redirects included; plain HTTP only where the
//     operator says so. Everything else is NotAllowed, before any connection.
//   - Credentials are those of the account that is read for, never Revet's.
//   - Reads are bounded: a manifest by 4 MiB, an image configuration by 8 MiB,
//     the facts of an index by 64 children. To tell whether a digest can run, up to
//     1024 children are read, and 4 MiB of these and of layers together, within
//     half of the time that the caller has. Nothing is retried here, as callers have deadlines,
//     except what a registry itself asks to have later:
//   - 429, and 503 with Retry-After, are respected for the whole host by all users
//     of a Client. Up to 10 s, and within the caller's deadline, the request waits
//     and is sent again, twice at most; otherwise RateLimited is told at once,
//     with the time before which no request is sent. Work that can wait is Paced.
//   - What a digest is, its bytes say, whatever their Content-Type. One thing is
//     believed of the registry: the beginning of a large blob that an index itself
//     declares to be no manifest, and that the registry does not have as one.
//   - Head's digest is the registry's claim. Content and Facts recompute every
//     digest from the bytes; what differs from the digest asked for is Invalid.
//   - An Error carries a typed Reason. NotFound, Denied, NotAllowed and Invalid
//     do not change by asking again at once; RateLimited and Unavailable may.
package registry

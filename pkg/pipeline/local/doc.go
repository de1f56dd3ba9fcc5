// Package local reads images that are in no registry: from an OCI image layout, a
// directory or a tar archive of one, and from what "docker save" writes.
//
// Contract: Open returns a source and the digest to ask it for. A layout is believed no
// more than a registry: whoever reads it recomputes every digest. An archive of an
// older "docker save" has no manifest; one is made of it, as a push to a registry
// would, so its digest is that of the archive and not of what was pushed elsewhere.
package local

// Package documents hands the documents of a run, which are its report, its SBOMs and its list of
// packages, from the Pod that looked into the image to the Pod that publishes them. They are too
// large for a Task's result, so they travel on a volume, and only the digest of their list goes
// through the result.
//
// The volume is flat: the list and every document are files that are named after the SHA-256 of
// their bytes. A Writer fills it. Read opens it for whoever has the digest of the list.
//
// Contract: the Pod that wrote the volume parsed what strangers made, so Read trusts nothing on it
// but bytes of a digest that the scan's result leads to. It opens regular files directly below the
// folder only, under names that it makes itself, and follows no link. It reads no file that is
// larger than the list says, and no list that says more than the limits of this package. The bytes
// that Copy and Bytes give are those that they hashed. Nothing here parses a document.
//
// A file that is missing is oci.ReasonMissing. One that is something else than the list says is
// oci.ReasonCorrupted. What exceeds a limit is oci.ReasonTooLarge.
package documents

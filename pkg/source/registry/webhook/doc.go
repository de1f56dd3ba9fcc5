// Package webhook reads what registries send when somebody pushes. Each vendor of
// registries is one file and one row of the table in vendors.go.
//
// Contract: a Vendor finds in a request what proves who sent it, and reads claims out of
// the body. It decides nothing else. Decode checks each claim and returns Hints. Everything
// in a Hint is claimed: the caller reads the tag from the registry before it records
// anything. An event that is no push of a tag comes back as an Ignored with a typed reason,
// and never takes the other events of its body down with it. A claimed digest that is not a
// sha256 digest is left out of the Hint: the registry is asked. A body that cannot be
// decoded is a DecodeError, which is permanent: sending it again gives the same.
package webhook

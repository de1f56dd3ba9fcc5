// Package webhook decodes what registries send when somebody pushes: the
// notifications of CNCF Distribution, in both of its media types.
//
// Contract: Decode is pure and returns hints. Everything in a hint is claimed;
// whoever acts on one reads the tag from the registry first. What is no push of
// a tag comes back as an Ignored with a typed reason, and never takes the other
// events of its envelope down with it. An envelope that cannot be decoded is a
// DecodeError, which is permanent: sending it again gives the same.
package webhook

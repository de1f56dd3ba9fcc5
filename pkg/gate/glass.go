package gate

// EveryOwner stands in VerifiedImages.untrustedOwners for all workloads: then the break-glass
// label of none counts.
const EveryOwner = "*"

// OwnersIn stands in VerifiedImages.untrustedOwners for all workloads of a namespace.
func OwnersIn(namespace string) string { return ownersIn + namespace }

const ownersIn = "namespace/" // no UID has a slash

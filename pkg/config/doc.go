// Package config reads what the operator configures in Revet's own namespace:
//
//   - ConfigMap config-registries, key registries.yaml: the registries that may
//     be read, and for which namespaces:
//     [{name, host, insecure, namespaces: ["*"]}]
//   - ConfigMap config-sinks, key sinks.yaml: the hosts that a trigger's sink.uri
//     may name: [{host, namespaces: ["*"]}]
//   - Secret registry-webhooks: for each registry the tokens that its webhook may
//     carry, one a line; several are valid at once, so that they can be rotated.
//
// Contract: decoding is strict, and an error names the object, the key, the
// entry and what is accepted. A Store is fed by informers and safe for
// concurrent use. An update that is broken keeps the last good one and shows in
// Problems until it is repaired; an object that is deleted allows nothing.
// Tokens are compared in constant time and never appear in an error.
package config

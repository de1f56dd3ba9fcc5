// Package config reads what the operator configures in Revet's own namespace:
//
//   - ConfigMap config-registries, key registries.yaml: the registries that Revet may
//     read, and for which namespaces:
//     [{name, host, insecure, vendor, namespaces: ["*"]}]
//   - ConfigMap registry-certificates: PEM certificates of the authorities that signed
//     registries' certificates. A key is a host, such as registry.example.com..5000, or
//     ends in .crt and counts for every registry.
//   - ConfigMap config-sinks, key sinks.yaml: the hosts that a trigger's sink.uri may
//     name: [{host, namespaces: ["*"]}]
//   - Secret registry-webhooks: for each registry the tokens that prove its
//     notifications, one a line. Several are valid at once, so that they can be rotated.
//
// Contract: decoding is strict, and an error names the object, the key, the entry and
// what is accepted. Informers feed a Store, which is safe for concurrent use. After a
// broken update the Store keeps the last good content, and shows the error in Problems
// until somebody repairs it. An object that is deleted allows nothing. Tokens never appear
// in an error.
package config

// Package config reads what the operator configures in Revet's own namespace:
//
//   - ConfigMap config-registries, key registries.yaml: the registries that Revet may
//     read, and the namespaces that may use them:
//     [{name, host, insecure, vendor, namespaces: ["*"]}]
//   - ConfigMap registry-certificates: PEM certificates of the authorities that sign
//     registries' certificates. A key is a host, such as registry.example.com..5000, or
//     ends in .crt and applies to every registry.
//   - ConfigMap config-sinks, key sinks.yaml: the hosts that a trigger's sink.uri may
//     name: [{host, namespaces: ["*"]}]
//   - ConfigMap config-gate, key exclude.yaml: the namespaces that no ImageGate gates, by
//     name or by their beginning: ["kube-*", revet-system]. Without it a default applies.
//     Key controllers.yaml: the users whose copies of a template with the break-glass label
//     count, by their full names. Without it, Kubernetes' workload controllers.
//   - ConfigMap config-attestation, key triggers.yaml: the triggers whose verdicts the attestor
//     may sign: [{namespace, trigger}]
//   - Secret registry-webhooks: for each registry the tokens that prove its
//     notifications, one per line. Several can be valid at once, so that they can be rotated.
//
// Contract: decoding is strict. An error names the object, the key, the entry and the accepted
// values. Informers feed a Store, which is safe for concurrent use. After a broken update the Store
// keeps the last good content, and reports the error in Problems until somebody fixes it. A deleted
// object allows nothing. Tokens never appear in an error.
package config

package upstream

// glue is what neither project brings, as each knows nothing of the other: leave for Knative's controllers to read the
// addresses of EventListeners, so that a source or a Trigger can name one as its sink.
func glue() ([]manifest, error) {
	return component{name: "glue"}.load(map[string][]byte{"eventlistener-addressable.yaml": []byte(`
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: eventlistener-addressable-resolver
  labels:
    duck.knative.dev/addressable: "true"
rules:
- apiGroups: [triggers.tekton.dev]
  resources: [eventlisteners, eventlisteners/status]
  verbs: [get, list, watch]
`)}, references{})
}

package gate

import (
	"testing"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

func TestNamespacesThatAGateLeavesAlone(t *testing.T) {
	e := ExclusionOf([]string{"openshift-*", "tools"}, []v1alpha1.TrustedTrigger{{Namespace: "verify", Trigger: "all"}},
		[]string{"http://el-revet.listeners.svc.cluster.local:8080/x", "https://sink.example.com/y", "::"}, "revet-system")
	for name, want := range map[string]bool{
		"openshift-dns": true, "tools": true, "verify": true, "listeners": true, "revet-system": true,
		"kube-system": true, "kube-public": true, "kube-node-lease": true,
		"openshift": false, "tools-2": false, "prod": false, "example": false, "kube-flannel": false,
	} {
		if e.Has(name) != want {
			t.Errorf("%s: excluded is %v", name, !want)
		}
	}
}

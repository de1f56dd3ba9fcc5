package running

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func TestWhatIsToldOfADigestThatRuns(t *testing.T) {
	for _, test := range []struct {
		name      string
		told, now Standing
		tell      bool
		remember  Standing
	}{
		{"it stays verified", Verified, Verified, false, Verified},
		{"it failed", Verified, Failed, true, Failed},
		{"it expired", Verified, Expired, true, Expired},
		{"it expired and then failed", Expired, Failed, true, Failed},
		{"it started before its verdict, which is a failure", Unknown, Failed, true, Failed},
		{"it started before its verdict, which is a pass", Unknown, Verified, false, Verified},
		{"it is verified again after a failure", Failed, Verified, true, Verified},
		{"it is verified again after it expired", Expired, Verified, true, Verified},
		{"a failure gets old", Failed, Expired, false, Failed},
		{"nobody knows for a while", Verified, Unknown, false, Verified},
		{"nobody knows for a while of what failed", Failed, Unknown, false, Failed},
		{"it still failed", Failed, Failed, false, Failed},
		{"it was unknown and expired", Unknown, Expired, false, Expired},
	} {
		t.Run(test.name, func(t *testing.T) {
			tell, remember := Turned(test.told, test.now)
			if tell != test.tell || remember != test.remember {
				t.Errorf("tell %v and remember %s, want %v and %s", tell, remember, test.tell, test.remember)
			}
		})
	}
}

func of(owner string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		yes := true
		p.OwnerReferences = []metav1.OwnerReference{{Kind: "ReplicaSet", UID: types.UID(owner), Controller: &yes}}
	}
}

// Mode Deny concerns workloads: two Pods of one count once, by the worse of them.
func TestRefusedCountsWorkloads(t *testing.T) {
	c := count(t,
		with(pod("a", "r.example/a@"+bad), of("rs1")), with(pod("b", "r.example/a@"+old), of("rs1")),
		with(pod("c", "r.example/a@"+old), of("rs2")), pod("d", "r.example/d:1"), pod("e", "r.example/e@"+good))
	if got := c.Refused(false); got != 2 {
		t.Errorf("%d are refused where expired images may start, want 2", got)
	}
	if got := c.Refused(true); got != 3 {
		t.Errorf("%d are refused where expired images may not start, want 3", got)
	}
}

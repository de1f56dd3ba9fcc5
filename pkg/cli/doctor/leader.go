package doctor

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
)

// leaderLateFor is how long after its last renewal a Lease has no leader.
const leaderLateFor = 30 * time.Second

// leaseName is the name of the Lease of one bucket of keys, such as
// controller.imageverification.00-of-02.
var leaseName = regexp.MustCompile(`^(controller\..+)\.(\d+)-of-(\d+)$`)

// leaders checks that somebody leads each bucket of keys. The Leases of a number of
// buckets that the controller no longer has stay for ever, so a number counts only if
// somebody leads one of its buckets.
func (d *doctor) leaders(ctx context.Context) Finding {
	const check = "leader"
	logs := fmt.Sprintf("kubectl logs -n %s deployment/controller", d.system)
	var leases coordinationv1.LeaseList
	if err := d.List(ctx, &leases, inNamespace(d.system)); err != nil {
		return notRead(check, fmt.Sprintf("the Leases in namespace %q", d.system), err)
	}
	var holders []string
	led := map[string]map[int]bool{} // the buckets that somebody leads, by controller and number of buckets
	for i := range leases.Items {
		l := &leases.Items[i]
		name := leaseName.FindStringSubmatch(l.Name)
		if name == nil || !d.held(l) {
			continue
		}
		holders = append(holders, *l.Spec.HolderIdentity)
		of := name[1] + ".%02d-of-" + name[3]
		if led[of] == nil {
			led[of] = map[int]bool{}
		}
		bucket, _ := strconv.Atoi(name[2])
		led[of][bucket] = true
	}
	if len(holders) == 0 {
		return problem(check, logs, "no controller leads: no push is verified and no ImageTrigger is checked")
	}
	var orphans []string
	for of, buckets := range led {
		n, _ := strconv.Atoi(of[strings.LastIndexByte(of, '-')+1:])
		for i := range min(n, mostBuckets) {
			if !buckets[i] {
				orphans = append(orphans, fmt.Sprintf(of, i))
			}
		}
	}
	slices.Sort(orphans)
	if len(orphans) > 0 {
		return problem(check, logs, "nobody leads %s: their share of pushes is not verified", strings.Join(orphans, ", "))
	}
	slices.Sort(holders)
	return ok(check, "led by %s", strings.Join(slices.Compact(holders), ", "))
}

// mostBuckets is the most that leader election allows.
const mostBuckets = 10

// held reports whether somebody holds a Lease and renews it.
func (d *doctor) held(l *coordinationv1.Lease) bool {
	return l.Spec.HolderIdentity != nil && *l.Spec.HolderIdentity != "" &&
		l.Spec.RenewTime != nil && d.now.Sub(l.Spec.RenewTime.Time) < leaderLateFor
}

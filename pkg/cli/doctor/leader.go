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

// attestationQueue is the queue of the attestor. Its Leases are named like the controller's.
const attestationQueue = "controller.attestation"

// election is what doctor says of the leaders of a program.
type election struct {
	check, program string
	// none is what is not done while nobody leads, and share while somebody leads in part.
	none, share string
	// level is how bad it is that nobody leads.
	level Level
}

var controllerElection = election{
	"leader", "controller", "no push is verified and no ImageTrigger is checked", "their share of pushes is not verified", LevelProblem,
}

// of reports whether a queue is the program's.
func (e election) of(queue string) bool {
	return (queue == attestationQueue) == (e.program == attestorName)
}

// leaders checks that somebody leads each bucket of a program's keys. The Leases of a number
// of buckets that the program no longer has stay for ever, so a number counts only if
// somebody leads one of its buckets.
func (d *doctor) leaders(ctx context.Context, of election) Finding {
	check := of.check
	logs := fmt.Sprintf("kubectl logs -n %s deployment/%s", d.system, of.program)
	var leases coordinationv1.LeaseList
	if err := d.List(ctx, &leases, inNamespace(d.system)); err != nil {
		return notRead(check, fmt.Sprintf("the Leases in namespace %q", d.system), err)
	}
	var holders []string
	led := map[string]map[int]bool{} // the buckets that somebody leads, by controller and number of buckets
	for i := range leases.Items {
		l := &leases.Items[i]
		name := leaseName.FindStringSubmatch(l.Name)
		if name == nil || !of.of(name[1]) || !d.held(l) {
			continue
		}
		holders = append(holders, *l.Spec.HolderIdentity)
		named := name[1] + ".%02d-of-" + name[3]
		if led[named] == nil {
			led[named] = map[int]bool{}
		}
		bucket, _ := strconv.Atoi(name[2])
		led[named][bucket] = true
	}
	if len(holders) == 0 {
		return Finding{of.level, check, fmt.Sprintf("no %s leads: %s", of.program, of.none), logs}
	}
	var orphans []string
	for named, buckets := range led {
		n, _ := strconv.Atoi(named[strings.LastIndexByte(named, '-')+1:])
		for i := range min(n, mostBuckets) {
			if !buckets[i] {
				orphans = append(orphans, fmt.Sprintf(named, i))
			}
		}
	}
	slices.Sort(orphans)
	if len(orphans) > 0 {
		return Finding{of.level, check, fmt.Sprintf("nobody leads %s: %s", strings.Join(orphans, ", "), of.share), logs}
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

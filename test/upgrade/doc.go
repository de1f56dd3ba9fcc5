// Package upgrade holds that one version of Revet continues what another version stored in etcd.
//
// testdata/c8ff37c.jsonl.gz is what commit c8ff37c wrote: triggers, entries in every phase, runs
// under way and the ImageStreams they belong to, as etcd held them when its receiver and controller
// were killed. The test puts these keys into the etcd of a real API server, installs this version's
// manifests, starts this version's programs and lets the runs end. No entry may be lost, no cause
// may get a second run, and coverage must be clean.
//
// # Recording
//
// The content is recorded from a version's own programs:
//
//	git worktree add /tmp/old c8ff37c
//	cd test && go run ./upgrade/record -root /tmp/old -out upgrade/testdata/c8ff37c.jsonl.gz
//
// # The way back
//
// The same two steps with the roles exchanged show that the old version continues what the new one
// stored:
//
//	go run ./upgrade/record -root .. -out /tmp/new.jsonl.gz
//	go test ./upgrade -run Continues -args -content /tmp/new.jsonl.gz -root /tmp/old
//
// In each test run, [Unreadable] compares what the new version stored with the CRDs of the old one
// (testdata/c8ff37c-crds): the old version's API server must accept every object as it is, and
// must know each of its fields.
package upgrade

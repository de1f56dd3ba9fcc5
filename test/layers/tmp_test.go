package layers
import ("testing";"os";"fmt";"time")
func TestTmp(t *testing.T) {
	rs := runtimes(t, os.Getenv(scratch))
	n := 0
	var stacks []stack
	adv := adversarialStacks()
	for i := range *random { stacks = append(stacks, randomStack(*seed, i)) }
	fmt.Println("adversarial", len(adv))
	if *adversarial != 0 { stacks = append(stacks, adv...) }
	times := map[string]time.Duration{}
	ref := map[string]int{}
	diffs := map[string]int{}
	classes := map[string]int{}
	for i, s := range stacks {
		if *only != "" && s.name != *only { continue }
		st, err := s.stored()
		if err != nil { t.Errorf("%s %v", s, err); continue }
		var trees []tree
		agree := true
		for _, r := range rs {
			b := time.Now()
			tr, refused, err := r.show(t.Context(), fmt.Sprintf("s%d", i), st)
			times[r.String()] += time.Since(b)
			if err != nil { t.Fatalf("%s: %s: %v", s, r, err) }
			if refused != nil { ref[r.String()]++ ; fmt.Fprintln(os.Stderr, "REFUSED", s.name, r, refused); if *only != "" { fmt.Println(r, "refused", refused) } }
			if *only != "" { fmt.Println(r, tr) }
			trees = append(trees, tr)
		}
		var first tree
		for j, tr := range trees { if tr == nil { continue }
			if first == nil { first = tr; continue }
			for _, d := range compare(first, tr) {
				if d.onlyMode() { classes["mode"]++; continue }
				agree = false
				diffs[rs[j].String()]++
				break
			}
		}
		if !agree { classes["differ"]++; if *only != "" || testing.Verbose() { fmt.Println("DIFFER", s) } }
		n++
	}
	fmt.Println(n, times, ref, diffs, classes)
}

package doctor

import (
	"fmt"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
)

// verdicts reports the entries that were judged before verdicts were kept, which count as
// not known wherever a verdict is asked for.
func (d *doctor) verdicts(t *v1alpha1.ImageTrigger, entries []v1alpha1.ImageVerification) []Finding {
	n := 0
	for i := range entries {
		if entries[i].JudgedWithoutVerdict() {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	were := "entries were"
	if n == 1 {
		were = "entry was"
	}
	return []Finding{warn("verdicts", fmt.Sprintf("kubectl revet replay --without-verdict --trigger %s -n %s", t.Name, t.Namespace),
		"%d %s judged before verdicts were kept, and what was found counts as not known", n, were)}
}

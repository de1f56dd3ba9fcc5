package verdict

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/revet-dev/revet/pkg/image"
	"github.com/revet-dev/revet/pkg/pipeline/result"
	"github.com/revet-dev/revet/pkg/pipeline/taskresult"
	"github.com/revet-dev/revet/pkg/runresult"
)

// basisOf returns what a verdict by checks and outcomes rests on. own is what the joining step
// decided by.
func basisOf(checks []taskresult.Check, images taskresult.Images, outcomes []taskresult.Result, own result.Parts) (runresult.Basis, error) {
	b := runresult.Basis{Unselected: runresult.Count(images.Unselected)}
	for _, c := range checks {
		if c.Off {
			b.Off = append(b.Off, c.Name)
		} else {
			b.Checks = append(b.Checks, c.Name)
		}
	}
	for _, o := range outcomes {
		if o.Database != nil {
			b.Database = &runresult.BasisDatabase{Digest: o.Database.Digest.String(), AsOf: o.Database.AsOf}
		}
		if o.Inventory == nil {
			continue
		}
		if b.Inventory != nil {
			return runresult.Basis{}, errors.New("two Tasks judged an inventory")
		}
		b.Inventory = &runresult.BasisInventory{Digest: o.Inventory.Digest.String(), Reference: stored(o)}
	}
	if parts := decided(outcomes, own); parts != nil {
		b.Policy, b.Parts = parts.Digest().String(), map[string]string{}
		for name, digest := range parts {
			b.Parts[name] = digest[:runresult.PartSize]
		}
	}
	b.Platforms, b.PlatformsOmitted = platforms(images, outcomes)
	return fit(b)
}

// decided joins what all Tasks decided by, each named after its checks. It returns nil if one of them
// does not say so.
func decided(outcomes []taskresult.Result, own result.Parts) result.Parts {
	if len(own) == 0 {
		return nil
	}
	all := map[string]result.Parts{"": own}
	for _, o := range outcomes {
		if len(o.Parts) == 0 {
			return nil
		}
		var checks []string
		for _, c := range o.Checks {
			checks = append(checks, c.Name)
		}
		slices.Sort(checks)
		task := strings.Join(checks, ",")
		all[task] = o.Parts
		if o.Database != nil {
			all[task+" "+result.PartDatabase] = result.Parts{result.PartDatabase: result.PartOfDigest(o.Database.Digest)}
		}
	}
	return result.JoinParts(all)
}

// stored returns the reference of the artefact that stores the inventory, or "".
func stored(o taskresult.Result) string {
	report, err := image.ParseReference(o.Report)
	if err != nil || o.Inventory.Artifact.IsZero() {
		return ""
	}
	return report.Repository().At(o.Inventory.Artifact).String()
}

// platforms returns the different platforms of the images, and the number of images whose platform
// it leaves out. All Tasks looked at the same images, so the one that lists most counts.
func platforms(images taskresult.Images, outcomes []taskresult.Result) ([]string, int32) {
	var most []string
	for _, o := range outcomes {
		if len(o.Platforms) > len(most) {
			most = o.Platforms
		}
	}
	var all []string
	omitted := images.N - len(most)
	for _, p := range most {
		switch {
		case slices.Contains(all, p):
		case !runresult.IsPlatform(p):
			omitted++
		default:
			all = append(all, p)
		}
	}
	return all, runresult.Count(omitted)
}

// fit leaves out what others need least until b fits: the parts, all of them or none, then the last
// platforms, which it counts, and then where the inventory is stored.
func fit(b runresult.Basis) (runresult.Basis, error) {
	for {
		_, err := b.Encode()
		if err == nil {
			return b, nil
		}
		switch {
		case b.Parts != nil:
			b.Parts = nil
		case len(b.Platforms) > 0:
			b.Platforms = b.Platforms[:len(b.Platforms)-1]
			b.PlatformsOmitted++
		case b.Inventory != nil && b.Inventory.Reference != "":
			b.Inventory = &runresult.BasisInventory{Digest: b.Inventory.Digest}
		default:
			return runresult.Basis{}, err
		}
	}
}

// quotedSize returns the length of text as a string within JSON.
func quotedSize(text string) int {
	quoted, err := json.Marshal(text)
	if err != nil {
		return 1 << 30
	}
	return len(quoted)
}

package lifecycle_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/revet-dev/revet/pkg/apis/revet/v1alpha1"
	"github.com/revet-dev/revet/pkg/lifecycle"
)

// Property: the table of causes and the enum of the API name the same causes, each once.
func TestTableOfCausesAgreesWithTheAPI(t *testing.T) {
	const file = "../apis/revet/v1alpha1/imageverification_types.go"
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	enum := regexp.MustCompile(`validation:Enum=([A-Za-z;]+)\ntype CauseType `).FindSubmatch(source)
	if enum == nil {
		t.Fatalf("%s has no enum above type CauseType", file)
	}
	want := strings.Split(string(enum[1]), ";")
	slices.Sort(want)
	var got []string
	for _, c := range lifecycle.Causes() {
		got = append(got, string(c.Type)+c.KeyPrefix)
	}
	slices.Sort(got)
	want = append(want, string(v1alpha1.CauseManual)+lifecycle.RenewalPrefix) // a row of a type that has one
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("causes (-API +table):\n%s", diff)
	}
}

func TestRuleOf(t *testing.T) {
	for _, want := range []lifecycle.CauseRule{
		{Type: v1alpha1.CausePush, Class: 0, Filtered: true, Supersedable: true, FireFirst: true, ReadsImage: true, AnswersPush: true, EventTrigger: "event"},
		{Type: v1alpha1.CauseRecreated, Class: 0, Filtered: true, Supersedable: true, FireFirst: true, ReadsImage: true, EventTrigger: "event"},
		{Type: v1alpha1.CauseVanished, Class: 0, EventTrigger: "event"},
		{Type: v1alpha1.CauseManual, Class: 1, ReadsImage: true, EventTrigger: "manual"},
		{Type: v1alpha1.CauseRetry, Class: 2, EventTrigger: "event"},
		{Type: v1alpha1.CauseManual, KeyPrefix: lifecycle.RenewalPrefix, Class: 3, ReadsImage: true, EventTrigger: "manual"},
	} {
		t.Run(string(want.Type)+want.KeyPrefix, func(t *testing.T) {
			if diff := cmp.Diff(want, lifecycle.RuleOf(v1alpha1.Cause{Type: want.Type, Key: want.KeyPrefix + "x"}), cmpopts.IgnoreUnexported(lifecycle.CauseRule{})); diff != "" {
				t.Errorf("rule (-want +got):\n%s", diff)
			}
		})
	}
	last := 0
	for _, c := range lifecycle.Causes() {
		last = max(last, c.Class)
	}
	unknown := lifecycle.CauseRule{Class: last + 1, ReadsImage: true, EventTrigger: "other"}
	if diff := cmp.Diff(unknown, lifecycle.RuleOf(v1alpha1.Cause{Type: "Whatever"}), cmpopts.IgnoreUnexported(lifecycle.CauseRule{})); diff != "" {
		t.Errorf("the rule of a cause that is not in the table (-want +got):\n%s", diff)
	}
}

package team

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revet-dev/revet/pkg/cli/commandtest"
	"github.com/revet-dev/revet/triggers"
)

// apart is what triggers/ has with publishing in a Pod of its own, by kind and name.
func apart(t *testing.T, group bool) map[string]object {
	t.Helper()
	files, err := filepath.Glob("../../../triggers/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no manifests: %v", err)
	}
	all := map[string]object{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		content, _ = triggers.Apart(content)
		if group {
			content, _ = triggers.Group(content)
		}
		for _, o := range objectsOf(t, string(content)) {
			all[named(o)] = o
		}
	}
	return all
}

func named(o object) string { return fmt.Sprint(o["kind"], "/", o["metadata"].(object)["name"]) }

// Property: with --storage-class a team's pipeline is that of triggers/ in the form in which
// publishing is a Pod of its own, with that class, also if ko printed it before.
func TestATeamPublishesApart(t *testing.T) {
	for name, test := range map[string]struct {
		args  []string
		in    string
		class string
		group bool
	}{
		"from the checkout":           {[]string{"--ko", "--storage-class", "fast"}, "", "fast", false},
		"the cluster's default class": {[]string{"--ko", "--storage-class", "", "--fs-group"}, "", "", true},
		"as ko prints it":             {[]string{"--from", "-", "--storage-class", "fast", "--fs-group"}, printedByKo(t), "fast", true},
	} {
		t.Run(name, func(t *testing.T) {
			got := commandtest.Run(New, test.in, nil, append([]string{"team", "shop", "--namespaces", "shop", "--offline"}, test.args...)...)
			if got.Status != 0 {
				t.Fatalf("status %d: %s", got.Status, got.ErrOut)
			}
			want := apart(t, test.group)
			compared := 0
			for _, o := range objectsOf(t, got.Out) {
				w, ok := want[named(o)]
				if !ok {
					continue
				}
				compared++
				delete(o["metadata"].(object), "namespace")
				if claim := claimOf(o); claim != nil {
					if class, _ := claim["storageClassName"].(string); class != test.class {
						t.Errorf("the volume's class is %q", class)
					}
					delete(claim, "storageClassName")
				}
				built := func(o object) string { return strings.ReplaceAll(fmt.Sprint(o), koReference, "registry.example.com/") }
				if diff := cmp.Diff(built(w), built(o)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", named(o), diff)
				}
			}
			if compared != len(want) {
				t.Errorf("%d of %d objects are there", compared, len(want))
			}
		})
	}
}

// claimOf is the spec of the volume of a TriggerTemplate's run.
func claimOf(o object) object {
	if o["kind"] != "TriggerTemplate" {
		return nil
	}
	run := o["spec"].(object)["resourcetemplates"].([]any)[0].(object)
	workspaces := run["spec"].(object)["workspaces"].([]any)
	return workspaces[0].(object)["volumeClaimTemplate"].(object)["spec"].(object)
}

// The account that publishes may push to the team's namespaces; the one that scans still pulls only.
func TestWhoMayPush(t *testing.T) {
	rules := func(args ...string) map[string]string {
		got := run(t, append([]string{"shop", "--namespaces", "shop", "--offline", "--ko"}, args...)...)
		accounts, verbs := map[string]string{}, map[string]string{}
		for _, o := range objectsOf(t, got.Out) {
			metadata := o["metadata"].(object)
			if metadata["namespace"] != "shop" {
				continue
			}
			switch o["kind"] {
			case "RoleBinding":
				accounts[fmt.Sprint(metadata["name"])] = fmt.Sprint(o["subjects"].([]any)[0].(object)["name"])
			case "Role":
				rule := o["rules"].([]any)[0].(object)
				verbs[fmt.Sprint(metadata["name"])] = fmt.Sprint(rule["resources"], rule["verbs"])
			}
		}
		all := map[string]string{}
		for role, account := range accounts {
			if strings.Contains(verbs[role], "layers") {
				all[account] = verbs[role]
			}
		}
		return all
	}
	pull := map[string]string{"scan-and-validate": "[imagestreams/layers] [get]"}
	if diff := cmp.Diff(pull, rules()); diff != "" {
		t.Errorf("with one Pod (-want +got):\n%s", diff)
	}
	pull["scan-and-validate-publish"] = "[imagestreams/layers] [get update]"
	if diff := cmp.Diff(pull, rules("--storage-class", "fast")); diff != "" {
		t.Errorf("with a Pod for publishing (-want +got):\n%s", diff)
	}
}

package fast_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// recordedHost is the registry in the recordings.
const recordedHost = "127.0.0.1:25000"

// change is one watch event with its whole object.
type change struct {
	Type   string         `json:"type"`
	Object map[string]any `json:"object"`
}

// recording is one recorded step.
type recording struct {
	Order  int      `json:"order"`
	Step   string   `json:"step"`
	Events []change `json:"events"`
}

func recordings(t *testing.T) []recording {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", "events", "imagestreams", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no recordings: %v, %v", files, err)
	}
	var all []recording
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var r recording
		if err := json.Unmarshal(data, &r); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		// A bookmark tells how far a watch is, not what happened.
		r.Events = slices.DeleteFunc(r.Events, func(c change) bool { return c.Type == "BOOKMARK" })
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b recording) int { return a.Order - b.Order })
	return all
}

func (c change) kind() string { return text(c.Object, "kind") }
func (c change) name() string { return text(c.Object, "metadata", "name") }

// at walks down maps; a missing step gives nil.
func at(v any, path ...string) any {
	for _, p := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[p]
	}
	return v
}

func text(v any, path ...string) string {
	s, _ := at(v, path...).(string)
	return s
}

func list(v any, path ...string) []any {
	l, _ := at(v, path...).([]any)
	return l
}

// neutral drops what two runs cannot have in common: identities, versions and times. What an index says was created is
// the time of its push, so it goes too.
func neutral(c change) change {
	if metadata, ok := at(c.Object, "metadata").(map[string]any); ok {
		for _, field := range []string{"uid", "resourceVersion", "creationTimestamp", "managedFields"} {
			delete(metadata, field)
		}
	}
	if status, ok := at(c.Object, "status").(map[string]any); ok {
		delete(status, "publicDockerImageRepository") // the recorded registry had no public name
	}
	for _, tag := range list(c.Object, "status", "tags") {
		for _, item := range list(tag, "items") {
			delete(item.(map[string]any), "created")
		}
	}
	if metadata, ok := at(c.Object, "dockerImageMetadata").(map[string]any); ok && list(c.Object, "dockerImageManifests") != nil {
		delete(metadata, "Created")
	}
	return c
}

package oci

import (
	"fmt"
	"time"

	"github.com/revet-dev/revet/pkg/image"
)

// Config holds those parts of an image's configuration that checks use.
type Config struct {
	Platform
	Created *time.Time `json:"created"`
	Config  Settings   `json:"config"`
	RootFS  RootFS     `json:"rootfs"`
	History []Step     `json:"history"`
}

// Settings are the settings that a container of the image starts with.
type Settings struct {
	User         string              `json:"User"`
	Env          []string            `json:"Env"`
	Labels       map[string]string   `json:"Labels"`
	Entrypoint   []string            `json:"Entrypoint"`
	Cmd          []string            `json:"Cmd"`
	ExposedPorts map[string]struct{} `json:"ExposedPorts"`
	WorkingDir   string              `json:"WorkingDir"`
}

// RootFS names the uncompressed layers.
type RootFS struct {
	Type    string         `json:"type"`
	DiffIDs []image.Digest `json:"diff_ids"`
}

// Step is one entry of the image's history.
type Step struct {
	Created    *time.Time `json:"created"`
	CreatedBy  string     `json:"created_by"`
	Comment    string     `json:"comment"`
	EmptyLayer bool       `json:"empty_layer"`
}

// parseConfig parses the configuration of an image with the given number of layers.
func parseConfig(raw []byte, layers int) (Config, error) {
	var c Config
	if err := image.Decode(raw, &c); err != nil {
		return Config{}, fmt.Errorf("not an image configuration: %w", err)
	}
	if len(c.RootFS.DiffIDs) != layers {
		return Config{}, fmt.Errorf("it has %d diff_ids for %d layers", len(c.RootFS.DiffIDs), layers)
	}
	for _, d := range c.RootFS.DiffIDs {
		if d.IsZero() {
			return Config{}, fmt.Errorf("it has an empty diff_id")
		}
	}
	return c, nil
}

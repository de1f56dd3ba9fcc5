package validate

import (
	"maps"
	"slices"
	"time"

	"github.com/revet-dev/revet/pkg/pipeline/oci"
)

// Image is the variable image. Its tags are the contract with expressions.
type Image struct {
	Digest    string    `cel:"digest"`
	MediaType string    `cel:"mediaType"`
	Platform  string    `cel:"platform"`
	Config    Config    `cel:"config"`
	History   []History `cel:"history"`
	Created   time.Time `cel:"created"`
	Layers    []Layer   `cel:"layers"`
	Size      int64     `cel:"size"`
}

// Config is image.config.
type Config struct {
	User         string            `cel:"user"`
	Env          []string          `cel:"env"`
	Labels       map[string]string `cel:"labels"`
	Entrypoint   []string          `cel:"entrypoint"`
	Cmd          []string          `cel:"cmd"`
	ExposedPorts []string          `cel:"exposedPorts"`
	WorkingDir   string            `cel:"workingDir"`
}

// History is an element of image.history.
type History struct {
	Created    time.Time `cel:"created"`
	CreatedBy  string    `cel:"createdBy"`
	Comment    string    `cel:"comment"`
	EmptyLayer bool      `cel:"emptyLayer"`
}

// Layer is an element of image.layers.
type Layer struct {
	Digest    string `cel:"digest"`
	Size      int64  `cel:"size"`
	MediaType string `cel:"mediaType"`
}

// view converts an image to the variable image.
func view(img oci.Image) Image {
	c := img.Config
	v := Image{
		Digest:    img.Manifest.Digest.String(),
		MediaType: img.Manifest.MediaType,
		Platform:  c.String(),
		Created:   orEpoch(c.Created),
		Size:      img.Size(),
		Config: Config{
			User:         c.Config.User,
			Env:          c.Config.Env,
			Labels:       c.Config.Labels,
			Entrypoint:   c.Config.Entrypoint,
			Cmd:          c.Config.Cmd,
			ExposedPorts: slices.Sorted(maps.Keys(c.Config.ExposedPorts)),
			WorkingDir:   c.Config.WorkingDir,
		},
	}
	for _, h := range c.History {
		v.History = append(v.History, History{
			Created: orEpoch(h.Created), CreatedBy: h.CreatedBy, Comment: h.Comment, EmptyLayer: h.EmptyLayer,
		})
	}
	for _, l := range img.Layers {
		v.Layers = append(v.Layers, Layer{Digest: l.Digest.String(), Size: l.Size, MediaType: l.MediaType})
	}
	return v
}

// orEpoch returns 1970 for times that CEL cannot subtract. Build tools write the year 1 for
// "unknown".
func orEpoch(t *time.Time) time.Time {
	if t == nil || t.Before(time.Unix(0, 0)) {
		return time.Unix(0, 0).UTC()
	}
	return t.UTC()
}

package node

import "path/filepath"

const infoFile = "cluster.json"

// paths are the places of one cluster below the cache directory.
type paths struct {
	dir      string // removed with the cluster, except for logs
	lock     string // held by supervisor and janitor while either lives
	registry string // outlives the cluster
}

func newPaths(cache, id string) paths {
	base := filepath.Join(cache, "clusters", id)
	return paths{dir: base, lock: base + ".lock", registry: base + ".registry"}
}

func (p paths) logs() string   { return filepath.Join(p.dir, "logs") }
func (p paths) config() string { return filepath.Join(p.dir, "config.json") }
func (p paths) info() string   { return filepath.Join(p.dir, infoFile) }
func (p paths) pid() string    { return filepath.Join(p.dir, "supervisor.json") }

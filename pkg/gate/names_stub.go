package gate

import "strings"

func Normalize(s string) (string, bool) {
	name, digest, _ := strings.Cut(s, "@")
	first, _, ok := strings.Cut(name, "/")
	if !ok || !strings.ContainsAny(first, ".:") && first != "localhost" {
		if !ok {
			name = "library/" + name
		}
		name = "docker.io/" + name
	}
	if rest, ok := strings.CutPrefix(name, "index.docker.io/"); ok {
		name = "docker.io/" + rest
	}
	if !strings.Contains(name[strings.LastIndex(name, "/")+1:], ":") {
		name += ":latest"
	}
	if digest != "" {
		name += "@" + digest
	}
	return name, true
}

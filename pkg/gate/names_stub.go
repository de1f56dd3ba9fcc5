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

// celNormalize returns CEL for the normalised name of a reference without a digest.
func celNormalize(of string) string {
	tagged := `(` + of + `.matches(':[^/]*$') ? ` + of + ` : ` + of + ` + ':latest')`
	return `(!` + of + `.contains('/') ? 'docker.io/library/' + ` + tagged +
		` : ` + of + `.matches('^(index\\.)?docker\\.io/[^/]*$') ? 'docker.io/library/' + ` + tagged + `.split('/')[1]` +
		` : ` + of + `.startsWith('index.docker.io/') ? 'docker.io/' + ` + tagged + `.substring(16)` +
		` : ` + of + `.split('/')[0].matches('[.:]|^localhost$') ? ` + tagged + ` : 'docker.io/' + ` + tagged + `)`
}

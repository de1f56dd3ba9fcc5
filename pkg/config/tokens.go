package config

import (
	"fmt"
	"strings"
)

// minToken rules out tokens that can be guessed, and stray characters.
const minToken = 16

// Tokens are the secrets with which registries prove their notifications, by the registry's name in
// config-registries.
type Tokens struct{ secrets map[string][][]byte }

// Secrets returns the tokens of the registry with a name. Several can be valid at once.
func (t Tokens) Secrets(name string) [][]byte { return t.secrets[name] }

// Format implements fmt.Formatter. It never prints a token.
func (t Tokens) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "tokens of %d registries", len(t.secrets))
}

// ParseTokens parses one token per line for each name. Its errors never contain a token.
func ParseTokens(data map[string][]byte) (Tokens, error) {
	tokens := Tokens{secrets: map[string][][]byte{}}
	for name, lines := range data {
		if !namePattern.MatchString(name) {
			return Tokens{}, fmt.Errorf("key %q is not the name of a registry in %s", name, RegistriesConfigMap)
		}
		for i, line := range strings.Split(string(lines), "\n") {
			token := strings.TrimSpace(line)
			if token == "" {
				continue
			}
			if len(token) < minToken {
				return Tokens{}, fmt.Errorf("key %q, line %d: a token needs at least %d characters, for example from: openssl rand -hex 24", name, i+1, minToken)
			}
			tokens.secrets[name] = append(tokens.secrets[name], []byte(token))
		}
	}
	return tokens, nil
}

package config

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"strings"
)

// minToken keeps out what can be guessed, and an accidental stray character.
const minToken = 16

// Tokens are what webhooks may carry, by the registry's name. The tokens
// themselves are not kept.
type Tokens map[string][][sha256.Size]byte

// Has reports whether any token is valid for a name.
func (t Tokens) Has(name string) bool { return len(t[name]) > 0 }

// Valid reports whether a token is one of those for a name. It takes the same
// time whichever of them it is, if any: hashes are of one length, and all are
// compared.
func (t Tokens) Valid(name, presented string) bool {
	sum := sha256.Sum256([]byte(presented))
	found := 0
	for _, want := range t[name] {
		found |= subtle.ConstantTimeCompare(want[:], sum[:])
	}
	return found == 1 && presented != ""
}

// ParseTokens reads one token a line for each name. No token is ever part of an
// error.
func ParseTokens(data map[string][]byte) (Tokens, error) {
	tokens := Tokens{}
	for name, lines := range data {
		if !namePattern.MatchString(name) {
			return nil, fmt.Errorf("key %q is not the name of a registry in %s", name, RegistriesConfigMap)
		}
		for i, line := range strings.Split(string(lines), "\n") {
			token := strings.TrimSpace(line)
			if token == "" {
				continue
			}
			if len(token) < minToken {
				return nil, fmt.Errorf("key %q, line %d: a token has at least %d characters, for example from: openssl rand -hex 24", name, i+1, minToken)
			}
			tokens[name] = append(tokens[name], sha256.Sum256([]byte(token)))
		}
	}
	return tokens, nil
}

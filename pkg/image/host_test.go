package image

import "testing"

// A redirect may lead to public hosts only.
func TestPrivateHosts(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost":              true,
		"LOCALHOST.":             true,
		"registry.localhost":     true,
		"127.0.0.1":              true,
		"10.1.2.3":               true,
		"172.16.0.1":             true,
		"192.168.1.1":            true,
		"169.254.169.254":        true,
		"100.100.100.200":        true,
		"0.0.0.0":                true,
		"224.0.0.1":              true,
		"::1":                    true,
		"[::1]":                  true,
		"::":                     true,
		"fe80::1%eth0":           true,
		"fd00:ec2::254":          true,
		"::ffff:10.0.0.1":        true,
		"8.8.8.8":                false,
		"2001:4860:4860::8888":   false,
		"storage.example.com":    false,
		"localhost.example.com":  false,
		"10.1.2.3.example.com":   false,
		"notlocalhost":           false,
		"registry.example.local": false,
	} {
		if got := PrivateHost(host); got != want {
			t.Errorf("%q is private: %t, want %t", host, got, want)
		}
	}
}

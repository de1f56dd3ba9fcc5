package image

import (
	"net/netip"
	"strings"
)

// PrivateHost reports whether a host name, without its port, is inside by its letters: an
// address of a private network, or a name that always means this machine. What any other
// name resolves to, it cannot tell.
func PrivateHost(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	a, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && PrivateAddress(a)
}

// sharedSpace is what providers use inside (RFC 6598), metadata services among it.
var sharedSpace = netip.MustParsePrefix("100.64.0.0/10")

// PrivateAddress reports whether an address is not one of the public internet.
func PrivateAddress(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	return a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsUnspecified() || a.IsMulticast() || sharedSpace.Contains(a)
}

package image

import (
	"net/netip"
	"strings"
)

// PrivateHost reports whether a host name, without its port, is private by its spelling: a private
// IP address, or a name that always means this machine. It does not resolve other names.
func PrivateHost(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	a, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && PrivateAddress(a)
}

// sharedSpace is the range that providers use internally (RFC 6598), also for metadata services.
var sharedSpace = netip.MustParsePrefix("100.64.0.0/10")

// PrivateAddress reports whether an address is not on the public internet.
func PrivateAddress(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	return a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsUnspecified() || a.IsMulticast() || sharedSpace.Contains(a)
}

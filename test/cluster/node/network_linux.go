package node

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"

	"github.com/vishvananda/netlink"
)

// makeNetwork gives the new network namespace its loopback and the bridge that
// the network plug-in adds Pods to. The bridge is made here rather than by the
// plug-in because its address is the node's, which everything else needs first.
func makeNetwork() error {
	loopback, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find the loopback device: %w", err)
	}
	if err := netlink.LinkSetUp(loopback); err != nil {
		return fmt.Errorf("set the loopback device up: %w", err)
	}
	attributes := netlink.NewLinkAttrs()
	attributes.Name = bridgeName
	bridge := &netlink.Bridge{LinkAttrs: attributes}
	if err := netlink.LinkAdd(bridge); err != nil {
		return fmt.Errorf("add bridge %q: %w", bridgeName, err)
	}
	_, pods, err := net.ParseCIDR(podCIDR)
	if err != nil {
		return fmt.Errorf("parse the Pods' network: %w", err)
	}
	address := &netlink.Addr{IPNet: &net.IPNet{IP: net.ParseIP(nodeIP), Mask: pods.Mask}}
	if err := netlink.AddrAdd(bridge, address); err != nil {
		return fmt.Errorf("give bridge %q its address: %w", bridgeName, err)
	}
	if err := netlink.LinkSetUp(bridge); err != nil {
		return fmt.Errorf("set bridge %q up: %w", bridgeName, err)
	}
	// Service addresses need a route before they are translated.
	route := &netlink.Route{LinkIndex: bridge.Attrs().Index, Scope: netlink.SCOPE_LINK, Dst: &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}}
	if err := netlink.RouteAdd(route); err != nil {
		return fmt.Errorf("route by bridge %q: %w", bridgeName, err)
	}
	return setForwarding()
}

func setForwarding() error {
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644); err != nil {
		return fmt.Errorf("switch IP forwarding on: %w", err)
	}
	// A Pod that a NetworkPolicy refuses hears of each refusal, and does not wait for a time-out.
	if err := os.WriteFile("/proc/sys/net/ipv4/icmp_ratemask", []byte("0"), 0o644); err != nil {
		return fmt.Errorf("lift the limit of refusals: %w", err)
	}
	// Traffic from one Pod to another by a Service's address crosses only the
	// bridge, and has to pass the translation there too.
	err := os.WriteFile("/proc/sys/net/bridge/bridge-nf-call-iptables", []byte("1"), 0o644)
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("the kernel module br_netfilter is not loaded: run `modprobe br_netfilter`")
	}
	if err != nil {
		return fmt.Errorf("let bridged traffic pass the translation: %w", err)
	}
	return nil
}

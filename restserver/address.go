package restserver

import (
	"net/http"
	"net/netip"
	"strings"
)

// callerAddress is who calls: the peer, or, when the peer is a configured proxy, the
// last address of X-Forwarded-For that isn't one. Anybody can send that header,
// so it counts for nothing from elsewhere. The zero value stands for an
// address that a proxy garbled: it is in no network.
func (s *Server) callerAddress(r *http.Request) netip.Addr {
	addr := parseAddress(r.RemoteAddr)
	if !within(addr, s.TrustedProxies) {
		return addr
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop := strings.TrimSpace(hops[i])
		if hop == "" && len(hops) == 1 {
			return addr
		}
		if addr = parseAddress(hop); !within(addr, s.TrustedProxies) {
			return addr
		}
	}
	return addr
}

// parseAddress reads an address with or without a port. An IPv4 address in IPv6
// notation is an IPv4 address, and the zone is nobody's business.
func parseAddress(s string) netip.Addr {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone("")
	}
	addr, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}

func within(addr netip.Addr, networks []netip.Prefix) bool {
	for _, n := range networks {
		if n.Contains(addr) {
			return true
		}
	}
	return false
}

// allowed says whether plugin.restapi.allowedIPs lets the address in. An entry that cannot be read
// admits nobody.
func allowed(addr netip.Addr, entries []string) bool {
	if len(entries) == 0 {
		return true
	}
	for _, e := range entries {
		if network, err := netip.ParsePrefix(e); err == nil {
			if network.Masked().Contains(addr) {
				return true
			}
			continue
		}
		if one := parseAddress(e); one.IsValid() && one == addr {
			return true
		}
	}
	return false
}

func (c *call) addressText() string {
	if c.from.IsValid() {
		return c.from.String()
	}
	return "unknown"
}

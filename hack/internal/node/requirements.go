//go:build linux

package node

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// cniPlugins is where Debian puts the plugins that give Pods their network.
const cniPlugins = "/usr/lib/cni"

// requirement is something that a Debian package brings.
type requirement struct {
	pkg     string
	program string // in the PATH
	file    string // or a file
}

var requirements = []requirement{
	{pkg: "containernetworking-plugins", file: cniPlugins + "/ptp"},
	{pkg: "iptables", program: "iptables"},
	{pkg: "nftables", program: "nft"},
	{pkg: "conntrack", program: "conntrack"},
	{pkg: "ethtool", program: "ethtool"},
	{pkg: "socat", program: "socat"},
	{pkg: "iproute2", program: "ip"},
	{pkg: "util-linux", program: "nsenter"},
	// To build runc.
	{pkg: "libseccomp-dev", file: "/usr/include/seccomp.h"},
	{pkg: "pkg-config", program: "pkg-config"},
	{pkg: "gcc", program: "cc"},
}

// Packages are the Debian packages that a node needs.
func Packages() (names []string) {
	for _, r := range requirements {
		names = append(names, r.pkg)
	}
	return names
}

// Check says what this machine lacks to be a node.
func Check() error {
	if os.Geteuid() != 0 {
		return errors.New("a cluster with a node needs root, for it makes namespaces, mounts and cgroups: run make as root, or use a cluster that you have with CLUSTER=current")
	}
	var missing []string
	for _, r := range requirements {
		if !r.met() {
			missing = append(missing, r.pkg)
		}
	}
	if len(missing) > 0 {
		names := strings.Join(missing, " ")
		return fmt.Errorf("a cluster with a node needs Debian packages that are not installed: %s\n  apt-get install --no-install-recommends %s", names, names)
	}
	return nil
}

func (r requirement) met() bool {
	if r.file != "" {
		_, err := os.Stat(r.file)
		return err == nil
	}
	if _, err := exec.LookPath(r.program); err == nil {
		return true
	}
	// Not in everybody's PATH.
	_, err := os.Stat(filepath.Join("/usr/sbin", r.program))
	return err == nil
}

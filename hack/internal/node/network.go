//go:build linux

package node

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Addresses inside the network namespace. Nothing outside of it can reach them, nor they anything outside.
const (
	nodeAddress = "172.30.0.2"
	nodeNetwork = "172.30.0.2/24"
	// Nobody has this one: a default route has to lead somewhere for Services to be reachable.
	nowhere  = "172.30.0.1"
	podRange = "10.244.0.0/24"
)

// connect gives the network namespace its devices: loopback, and a bridge without ports that has the node's address.
func connect(ctx context.Context) error {
	for _, args := range []string{
		"link set lo up",
		"link add node0 type bridge",
		"address add " + nodeNetwork + " dev node0",
		"link set node0 up",
		"route add default via " + nowhere + " dev node0",
	} {
		if out, err := exec.CommandContext(ctx, "ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w\n%s", args, err, out)
		}
	}
	return nil
}

// podNetwork is the CNI configuration: each Pod has a cable of its own to the node, which routes between them.
const podNetwork = `{
  "cniVersion": "1.0.0",
  "name": "pods",
  "plugins": [
    {
      "type": "ptp",
      "mtu": 1500,
      "ipam": {
        "type": "host-local",
        "dataDir": "/run/pod-addresses",
        "ranges": [[{"subnet": "` + podRange + `"}]],
        "routes": [{"dst": "0.0.0.0/0"}]
      }
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
`

// writePodNetwork puts the CNI configuration into a folder.
func writePodNetwork(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "10-pods.conflist"), []byte(podNetwork), 0o644)
}

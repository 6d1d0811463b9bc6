//go:build linux

package node

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

const (
	containerdSocket = "/run/containerd/containerd.sock"
	// sandboxImage holds the namespaces of a Pod. It is in no registry.
	sandboxImage = "chat-operator.io/pause:1"
)

// containerdConfig is containerd's configuration: docs/cri/config.md of containerd, version 3.
const containerdConfig = `version = 3
root = %[1]q
state = "/run/containerd"
oom_score = 0
disabled_plugins = [
  "io.containerd.snapshotter.v1.blockfile", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.erofs", "io.containerd.snapshotter.v1.zfs", "io.containerd.internal.v1.tracing", "io.containerd.nri.v1.nri",
]

[grpc]
  address = "` + containerdSocket + `"

[plugins."io.containerd.internal.v1.opt"]
  path = %[2]q

[plugins."io.containerd.cri.v1.runtime"]
  # In a container that may not lower it, no sandbox would start otherwise.
  restrict_oom_score_adj = true
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["` + cniPlugins + `"]
    conf_dir = %[3]q
  [plugins."io.containerd.cri.v1.runtime".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
        BinaryName = %[4]q

[plugins."io.containerd.cri.v1.images"]
  snapshotter = %[5]q
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = "` + sandboxImage + `"
`

// startContainerd starts containerd and gives it the images.
func (n *Node) startContainerd(ctx context.Context) error {
	root, cni := filepath.Join(n.cfg.Dir, "containerd"), filepath.Join(n.cfg.Dir, "cni")
	if err := writePodNetwork(cni); err != nil {
		return err
	}
	for _, dir := range []string{root, "/run/containerd"} {
		if err := os.MkdirAll(dir, 0o711); err != nil {
			return err
		}
	}
	config := filepath.Join(n.cfg.Dir, "containerd.toml")
	content := fmt.Sprintf(containerdConfig, root, filepath.Join(n.cfg.Dir, "opt"), cni, n.binary("runc"), snapshotter(n.cfg.Dir))
	if err := os.WriteFile(config, []byte(content), 0o600); err != nil {
		return err
	}
	p, err := n.start("containerd", []string{"--config=" + config, "--log-level=warn"},
		// It looks for its shim there.
		"PATH="+n.cfg.NodeBinaries+":"+os.Getenv("PATH"))
	if err != nil {
		return err
	}
	if err := p.WaitReady(ctx, func(ctx context.Context) error { return n.ctr(ctx, "plugins", "list", "--quiet") }); err != nil {
		return err
	}
	pause := filepath.Join(n.cfg.Dir, "pause.tar")
	if err := writeImage(pause, sandboxImage, n.binary("pause")); err != nil {
		return err
	}
	for _, archive := range append([]string{pause}, n.cfg.Images...) {
		if err := n.ctr(ctx, "images", "import", archive); err != nil {
			return fmt.Errorf("give containerd the image %s: %w", archive, err)
		}
	}
	return nil
}

// ctr runs containerd's client in the namespace of Kubernetes.
func (n *Node) ctr(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, n.binary("ctr"), append([]string{"--address=" + containerdSocket, "--namespace=k8s.io"}, args...)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("ctr: %w\n%s", err, bytes.TrimSpace(out.Bytes()))
	}
	return nil
}

// snapshotter is overlayfs where the file system of dir can carry it, as one that is an overlay itself cannot.
func snapshotter(dir string) string {
	trial, err := os.MkdirTemp(dir, "overlay-")
	if err != nil {
		return "native"
	}
	defer func() { _ = os.RemoveAll(trial) }()
	for _, name := range []string{"lower", "upper", "work", "merged"} {
		if os.Mkdir(filepath.Join(trial, name), 0o755) != nil {
			return "native"
		}
	}
	at := func(name string) string { return filepath.Join(trial, name) }
	if syscall.Mount("overlay", at("merged"), "overlay", 0, "lowerdir="+at("lower")+",upperdir="+at("upper")+",workdir="+at("work")) != nil {
		return "native"
	}
	_ = syscall.Unmount(at("merged"), 0)
	return "overlayfs"
}

// Package node makes a Linux machine a Kubernetes cluster with one node, out of binaries built from Go modules: the control plane of
// localkube, and containerd, runc, kubelet, kube-proxy and kube-scheduler beside it. It downloads nothing and pulls no image.
//
// Everything runs in namespaces of its own for processes, mounts and the network. The network namespace has no way out, so that no
// address of a Pod or a Service is ever looked for outside. The first process in the namespaces takes all others with it, and with the
// last of them go the mounts, the network and whatever was in memory, however the end came. Only cgroups and a folder outlive a kill;
// the next start removes both.
package node

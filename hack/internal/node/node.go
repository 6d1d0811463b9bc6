//go:build linux

package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"

	"github.com/chat-operator/chat-operator/hack/internal/localkube"
	"github.com/chat-operator/chat-operator/hack/internal/supervise"
)

// name is the node's.
const name = "node"

// Config says what the cluster is made of.
type Config struct {
	// Dir keeps everything: data, certificates, kubeconfigs, images, volumes and logs. Nothing of it but the logs is of use after the cluster's end.
	Dir string
	// Binaries is the folder with the control plane, NodeBinaries that with what a node has besides.
	Binaries, NodeBinaries string
	// Images are archives that Pods can use.
	Images []string
}

// Node is a cluster with one node.
type Node struct {
	cfg       Config
	group     *supervise.Group
	cluster   *localkube.Cluster
	client    kubernetes.Interface
	processes []*supervise.Process
}

// Start starts everything and returns when Pods can run. It is to be called in namespaces that Contain made. What it starts ends with
// the group; until ctx ends, volumes are provided and names of Services answered.
func Start(ctx context.Context, cfg Config, group *supervise.Group) (*Node, error) {
	if err := errors.Join(mountOwn(), connect(ctx)); err != nil {
		return nil, err
	}
	n := &Node{cfg: cfg, group: group}
	var err error
	n.cluster, err = localkube.New(localkube.Config{
		Binaries: cfg.Binaries, Dir: cfg.Dir, Throwaway: true, NodeAddress: nodeAddress,
		APIPort: 6443, EtcdPort: 2379, EtcdPeerPort: 2380, ControllerManagerPort: 10257,
	}, group)
	if err != nil {
		return nil, err
	}
	starting, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	// The two have nothing to do with each other.
	runtime := make(chan error, 1)
	go func() { runtime <- n.startContainerd(starting) }()
	if err := errors.Join(n.cluster.Start(starting), <-runtime); err != nil {
		return nil, err
	}
	n.processes = append(n.processes, n.cluster.Processes()...)
	config, err := clientcmd.BuildConfigFromFlags("", n.cluster.Kubeconfig())
	if err != nil {
		return nil, err
	}
	if n.client, err = kubernetes.NewForConfig(config); err != nil {
		return nil, err
	}
	for _, start := range []func() error{n.startScheduler, n.startProxy, n.startKubelet} {
		if err := start(); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(n.serveNames(ctx), n.provideVolumes(ctx)); err != nil {
		return nil, err
	}
	return n, n.waitReady(starting)
}

// startLimit bounds the way from nothing to a node that is ready.
const startLimit = 3 * time.Minute

// Kubeconfig is the administrator's kubeconfig file.
func (n *Node) Kubeconfig() string { return n.cluster.Kubeconfig() }

// Processes are the processes that should run as long as the cluster does.
func (n *Node) Processes() []*supervise.Process { return n.processes }

func (n *Node) startScheduler() error {
	kubeconfig, err := n.kubeconfig("kube-scheduler", "system:kube-scheduler")
	if err != nil {
		return err
	}
	_, err = n.start("kube-scheduler", []string{
		"--kubeconfig=" + kubeconfig, "--authentication-kubeconfig=" + kubeconfig, "--authorization-kubeconfig=" + kubeconfig,
		"--bind-address=127.0.0.1", "--cert-dir=" + filepath.Join(n.cfg.Dir, "pki"), "--leader-elect=false",
	})
	return err
}

func (n *Node) startProxy() error {
	kubeconfig, err := n.kubeconfig("kube-proxy", "system:kube-proxy")
	if err != nil {
		return err
	}
	_, err = n.start("kube-proxy", []string{
		"--kubeconfig=" + kubeconfig, "--hostname-override=" + name, "--cluster-cidr=" + podRange,
		"--proxy-mode=nftables",
		// The table of connections has one size for the whole machine.
		"--conntrack-max-per-core=0",
		"--healthz-bind-address=127.0.0.1:10256", "--metrics-bind-address=127.0.0.1:10249",
	})
	return err
}

func (n *Node) startKubelet() error {
	kubeconfig, err := n.kubeconfig("kubelet", "system:node:"+name, "system:nodes")
	if err != nil {
		return err
	}
	logs := filepath.Join(n.cfg.Dir, "logs", "pods")
	if err := os.MkdirAll(logs, 0o755); err != nil {
		return err
	}
	config, err := yaml.Marshal(map[string]any{
		"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
		"address": nodeAddress, "healthzBindAddress": "127.0.0.1",
		"authentication": map[string]any{
			"anonymous": map[string]any{"enabled": false}, "webhook": map[string]any{"enabled": true}, "x509": map[string]any{"clientCAFile": n.cluster.CA()},
		},
		"authorization":            map[string]any{"mode": "Webhook"},
		"containerRuntimeEndpoint": "unix://" + containerdSocket,
		// All containers are below one cgroup, which is removed afterwards; the machine's own are left as they are.
		"cgroupDriver": "cgroupfs", "cgroupRoot": "/" + cgroupName(n.cfg.Dir), "cgroupsPerQOS": false, "enforceNodeAllocatable": []string{},
		"failCgroupV1": false, "failSwapOn": false, "oomScoreAdj": 0,
		// The machine is not the cluster's alone: how full it is says nothing.
		"evictionHard":                map[string]string{"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
		"imageGCHighThresholdPercent": 100,
		"resolvConf":                  "", "clusterDomain": clusterDomain, "clusterDNS": []string{nodeAddress},
		"podLogsDir": logs,
	})
	if err != nil {
		return err
	}
	file := filepath.Join(n.cfg.Dir, "kubelet.yaml")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		return err
	}
	_, err = n.start("kubelet", []string{
		"--config=" + file, "--kubeconfig=" + kubeconfig, "--hostname-override=" + name, "--node-ip=" + nodeAddress, "--root-dir=/var/lib/kubelet",
	})
	return err
}

// waitReady waits until the node takes Pods.
func (n *Node) waitReady(ctx context.Context) error {
	last := errors.New("it is not there")
	for {
		node, err := n.client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		if err == nil {
			for _, c := range node.Status.Conditions {
				if c.Type == corev1.NodeReady {
					if c.Status == corev1.ConditionTrue {
						return nil
					}
					err = errors.New(c.Message)
				}
			}
		}
		if err != nil && ctx.Err() == nil {
			last = err
		}
		for _, p := range n.processes {
			if p.Ended() {
				return p.Failure()
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the node does not become ready: %w; see %s", last, filepath.Join(n.cfg.Dir, "logs"))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// kubeconfig writes the kubeconfig of a component.
func (n *Node) kubeconfig(component, user string, groups ...string) (string, error) {
	file := filepath.Join(n.cfg.Dir, component+".kubeconfig")
	return file, n.cluster.WriteKubeconfig(file, user, groups...)
}

// start starts a program of a node.
func (n *Node) start(program string, args []string, env ...string) (*supervise.Process, error) {
	p, err := n.group.Start(supervise.Spec{
		Name: program, Path: n.binary(program), Args: args, Env: env, Log: filepath.Join(n.cfg.Dir, "logs", program+".log"),
	})
	if err == nil {
		n.processes = append(n.processes, p)
	}
	return p, err
}

func (n *Node) binary(program string) string { return filepath.Join(n.cfg.NodeBinaries, program) }

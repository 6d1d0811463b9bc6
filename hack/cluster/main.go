//go:build linux

// Command cluster is behind `make e2e` and `make cluster-up`: it makes this machine a Kubernetes cluster with one node, in namespaces of
// its own, and takes everything away again. Nothing of it is part of the product.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/chat-operator/chat-operator/hack/internal/node"
)

const usage = `usage:
  cluster check                    say what this machine lacks to be a node
  cluster packages                 name the Debian packages that a node needs
  cluster run [flags] -- COMMAND   start a cluster, run a command in it, remove the cluster
  cluster up [flags]               start a cluster and leave it running
  cluster exec [flags] -- COMMAND  run a command in the cluster that up has started
  cluster down [flags]             remove that cluster
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	code, err := 2, errors.New(usage)
	if len(os.Args) > 1 {
		command, args := os.Args[1], os.Args[2:]
		switch command {
		case "check":
			code, err = 0, node.Check()
		case "packages":
			fmt.Println(strings.Join(node.Packages(), "\n"))
			code, err = 0, nil
		case "run":
			code, err = run(ctx, args)
		case "up":
			code, err = 0, up(ctx, args)
		case "exec":
			code, err = 0, enter(args)
		case "down":
			code, err = 0, down(ctx, args)
		// The two that run starts in the namespaces.
		case "init":
			code, err = node.Init(append([]string{"inside"}, args...)...)
		case "inside":
			code, err = inside(ctx, args)
		}
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// settings are what every command is told.
type settings struct {
	node.Config
	command []string
	args    []string // all of it, to be passed on
}

func parseSettings(command string, args []string) (*settings, error) {
	s := &settings{args: args}
	flags := flag.NewFlagSet(command, flag.ContinueOnError)
	flags.StringVar(&s.Dir, "dir", ".run-cluster", "folder of data, certificates, kubeconfigs and logs")
	flags.StringVar(&s.Binaries, "binaries", "bin/k8s", "folder of etcd, kube-apiserver, kube-controller-manager and kubectl")
	flags.StringVar(&s.NodeBinaries, "node-binaries", "bin/node", "folder of kubelet, kube-proxy, kube-scheduler, containerd, runc and pause")
	flags.Func("image", "archive of an image that Pods can use; may be repeated", func(archive string) error {
		s.Images = append(s.Images, archive)
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	s.command = flags.Args()
	for _, path := range []*string{&s.Dir, &s.Binaries, &s.NodeBinaries} {
		abs, err := filepath.Abs(*path)
		if err != nil {
			return nil, err
		}
		*path = abs
	}
	return s, nil
}

// environment is that of commands in the cluster.
func (s *settings) environment() []string {
	self, err := os.Executable()
	if err != nil {
		self = s.Binaries
	}
	return append(os.Environ(),
		"KUBECONFIG="+s.kubeconfig(),
		// kubectl of the cluster's version, then helm and what else is built here.
		"PATH="+strings.Join([]string{s.Binaries, filepath.Dir(self), os.Getenv("PATH")}, ":"),
		// For the suite: addresses of Services can be reached from where it runs.
		"E2E_SERVICES=direct",
	)
}

func (s *settings) kubeconfig() string { return filepath.Join(s.Dir, "kubeconfig") }

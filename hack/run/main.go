// Command run is behind `make run`: it builds the local control plane, starts it and the operator, says how to reach them, and
// stops everything in order. Nothing of it is part of the product.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

const usage = `usage:
  run controlplane [flags]   build etcd, kube-apiserver, kube-controller-manager and kubectl, unless they are up to date
  run up [flags]             start the control plane and the operator, until SIGINT or SIGTERM
  run variables NAME=VALUE…  refuse what a variable of the Makefile does not take, before anything is built
  run ports                  print flags for up that give it free ports, for tests that run beside others
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	err := errors.New(usage)
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "controlplane":
			err = buildControlPlane(ctx, os.Args[2:], os.Stderr)
		case "up":
			err = up(ctx, stop, os.Args[2:], os.Stdout)
		case "variables":
			err = checkVariables(os.Args[2:])
		case "ports":
			err = freePorts(os.Stdout)
		}
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

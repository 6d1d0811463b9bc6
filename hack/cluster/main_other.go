//go:build !linux

// Command cluster makes a Linux machine a Kubernetes cluster with one node.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "A cluster with a node needs Linux. To run the suite in a cluster that you have: make e2e CLUSTER=current")
	os.Exit(1)
}

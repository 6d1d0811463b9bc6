package localkube

import (
	"fmt"
	"net"
)

// FreePorts finds n ports of 127.0.0.1 that nobody listens on. Each is held until all are found, so that they differ.
func FreePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer ln.Close()
		ports = append(ports, ln.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

package localkube

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"syscall"
)

// Ports are taken from below those that systems give to outgoing connections: nobody gets one by chance between its being found and its being
// listened on, or while a server that comes back to its port is away. (Linux begins at 32768, others above that.)
const firstPort, ports = 10000, 22000

// nextPort goes round them from anywhere, so that processes that look at once hardly meet, and a process gives none twice.
var nextPort = startAnywhere()

func startAnywhere() *atomic.Uint32 {
	next := &atomic.Uint32{}
	next.Store(rand.Uint32N(ports))
	return next
}

// FreePorts finds n ports of 127.0.0.1 that nobody listens on.
func FreePorts(n int) ([]int, error) {
	var free []int
	for range ports {
		if len(free) == n {
			return free, nil
		}
		port := firstPort + int(nextPort.Add(1)%ports)
		ln, err := net.Listen("tcp", loopback(port))
		if errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, syscall.EACCES) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		_ = ln.Close()
		free = append(free, port)
	}
	return nil, errors.New("find a free port: all are in use")
}

package testenv

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// stopTimeout is how long the controller manager may take to end before it is killed.
const stopTimeout = time.Minute

// controllerManager is a running kube-controller-manager.
type controllerManager struct {
	process *os.Process
	ended   <-chan struct{}
}

// startControllerManager runs the two controllers that finish deletions, and none of those that write at rest.
func startControllerManager(path, kubeconfig string, output io.Writer) (*controllerManager, error) {
	cmd := exec.Command(path,
		"--kubeconfig="+kubeconfig,
		"--controllers=namespace-controller,garbage-collector-controller",
		"--leader-elect=false",
		"--secure-port=0",
	)
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start kube-controller-manager: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // how it ends when told to does not matter
	}()
	return &controllerManager{process: cmd.Process, ended: ended}, nil
}

func (m *controllerManager) stop() error {
	if m == nil {
		return nil
	}
	if err := m.process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-m.ended:
		return nil
	case <-time.After(stopTimeout):
		return errors.Join(errors.New("kube-controller-manager did not end when asked to"), m.process.Kill())
	}
}

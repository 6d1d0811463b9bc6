//go:build cluster

package suite

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"regexp"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// service finds the Service of the installation that leads to a port of the Pods, by that port's name.
func (s *server) service(ctx context.Context, targetPort string) (*corev1.Service, int32, error) {
	services, err := kube.CoreV1().Services(s.namespace).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/instance=" + s.release})
	if err != nil {
		return nil, 0, err
	}
	for _, service := range services.Items {
		for _, port := range service.Spec.Ports {
			if port.TargetPort.StrVal == targetPort && service.Spec.ClusterIP != corev1.ClusterIPNone {
				return &service, port.Port, nil
			}
		}
	}
	return nil, 0, fmt.Errorf("no Service in %s leads to the port %s", s.namespace, targetPort)
}

// dial opens a connection to the port of that name through its Service.
func (s *server) dial(ctx context.Context, targetPort string) (net.Conn, error) {
	service, port, err := s.service(ctx, targetPort)
	if err != nil {
		return nil, err
	}
	if !direct {
		return s.forward(ctx, service.Name, port)
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(service.Spec.ClusterIP, strconv.Itoa(int(port))))
}

var forwarding = regexp.MustCompile(`^Forwarding from (127\.0\.0\.1:\d+) `)

// forward opens a connection by way of `kubectl port-forward`, which lives as long as the connection.
func (s *server) forward(ctx context.Context, service string, port int32) (net.Conn, error) {
	cmd := exec.Command("kubectl", "--namespace="+s.namespace, "port-forward", "--address=127.0.0.1", "service/"+service, fmt.Sprintf(":%d", port))
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	end := func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer stop()
	line, err := bufio.NewReader(out).ReadString('\n')
	match := forwarding.FindStringSubmatch(line)
	if match == nil {
		end()
		return nil, errors.Join(fmt.Errorf("port-forward to %s in %s says %q", service, s.namespace, line), err)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", match[1])
	if err != nil {
		end()
		return nil, err
	}
	return &forwarded{conn, end}, nil
}

type forwarded struct {
	net.Conn
	end func()
}

func (f *forwarded) Close() error {
	err := f.Conn.Close()
	f.end()
	return err
}

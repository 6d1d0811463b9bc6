package localkube

import (
	"encoding/base64"
	"fmt"
	"os"
	"strings"
)

// WriteKubeconfig writes a kubeconfig file, readable by its owner alone, that makes its holder the given user.
func (c *Cluster) WriteKubeconfig(path, user string, groups ...string) error {
	certPEM, keyPEM, err := c.pki.kube.client(user, groups)
	if err != nil {
		return err
	}
	return WriteKubeconfig(path, c.URL(), c.cfg.Namespace, c.pki.kube.certPEM, certPEM, keyPEM)
}

// WriteKubeconfig writes a kubeconfig file for the server at url, whose certificate ca signs. namespace may be empty. A client without certificate
// has nil for both.
func WriteKubeconfig(path, url, namespace string, ca, clientCert, clientKey []byte) error {
	b64 := base64.StdEncoding.EncodeToString
	var b strings.Builder
	fmt.Fprintf(&b, `apiVersion: v1
kind: Config
current-context: local
clusters:
- name: local
  cluster:
    server: %s
    certificate-authority-data: %s
contexts:
- name: local
  context:
    cluster: local
    user: local
`, url, b64(ca))
	if namespace != "" {
		fmt.Fprintf(&b, "    namespace: %s\n", namespace)
	}
	b.WriteString(`users:
- name: local
  user:
`)
	if clientCert == nil {
		b.WriteString("    token: none\n")
	} else {
		fmt.Fprintf(&b, "    client-certificate-data: %s\n    client-key-data: %s\n", b64(clientCert), b64(clientKey))
	}
	if err := writeSecret(path, []byte(b.String())); err != nil {
		return fmt.Errorf("write the kubeconfig: %w", err)
	}
	return os.Chmod(path, 0o600)
}

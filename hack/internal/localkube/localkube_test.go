package localkube

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chat-operator/chat-operator/hack/internal/supervise"
)

func newCluster(t *testing.T, dir string) *Cluster {
	t.Helper()
	group := supervise.New("")
	t.Cleanup(func() { _ = group.Close() })
	c, err := New(Config{Dir: dir, APIPort: 16443}, group)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCertificatesOutliveARestart(t *testing.T) {
	dir := t.TempDir()
	before, err := newCluster(t, dir).ClientCertificate("alice", "chat")
	if err != nil {
		t.Fatal(err)
	}
	after := newCluster(t, dir)
	leaf, err := x509.ParseCertificate(before.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	if leaf.Subject.CommonName != "alice" || leaf.Subject.Organization[0] != "chat" {
		t.Errorf("the certificate names %s, want alice of chat", leaf.Subject)
	}
	opts := x509.VerifyOptions{Roots: after.pki.kube.pool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if _, err := leaf.Verify(opts); err != nil {
		t.Errorf("a kubeconfig of the last run is refused: %v", err)
	}
	opts.Roots = after.pki.etcd.pool()
	if _, err := leaf.Verify(opts); err == nil {
		t.Error("etcd would let a user of the API in")
	}
}

func TestKeysAndKubeconfigsAreForTheirOwnerAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cluster")
	newCluster(t, dir)
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %o", path, info.Mode().Perm())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestADamagedAuthorityIsNamed(t *testing.T) {
	dir := t.TempDir()
	newCluster(t, dir)
	if err := os.WriteFile(filepath.Join(dir, "pki", "ca.crt"), []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := loadAuthority(filepath.Join(dir, "pki", "ca"), "local-kubernetes")
	if err == nil || !strings.Contains(err.Error(), "ca.crt") || !strings.Contains(err.Error(), "remove both") {
		t.Errorf("got %v, want the file's name and what to do", err)
	}
}

//go:build cluster

package suite

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"os"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/chat-operator/chat-operator/hack/internal/reader"
)

func certificates(f *follower) []reader.Moment {
	// in writes the files that an authority has sent, and in force expects clients who trust that authority alone to be let in.
	var trusted *x509.CertPool
	arrives := func() {
		GinkgoHelper()
		trusted = x509.NewCertPool()
		trusted.AddCert(f.writeCertificate("fullchain.pem", "privkey.pem"))
	}
	inForce := func(limit time.Duration) {
		GinkgoHelper()
		Eventually(func() error {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			conn, err := f.dial(ctx, "xmpps")
			if err != nil {
				return err
			}
			defer conn.Close()
			return tls.Client(conn, &tls.Config{RootCAs: trusted, ServerName: f.domain, NextProtos: []string{"xmpp-client"}}).HandshakeContext(ctx)
		}, limit, "250ms").Should(Succeed())
	}
	var pod string
	return []reader.Moment{{
		Block:  "--set tls.source=secret",
		Before: arrives,
		After: func(string) {
			f.rolledOut()
			inForce(limit)
			pod = string(f.pod().UID)
		},
	}, {
		Block:  "--dry-run=client",
		Before: arrives,
		After: func(string) {
			inForce(2*time.Minute + limit) // "within a minute or two"
			Expect(string(f.pod().UID)).To(Equal(pod))
			Expect(f.pod().Status.ContainerStatuses[0].RestartCount).To(BeZero())
		},
	}}
}

// writeCertificate makes a certificate for the domain, which is its own authority.
func (f *follower) writeCertificate(chain, key string) *x509.Certificate {
	GinkgoHelper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	Expect(err).NotTo(HaveOccurred())
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	Expect(err).NotTo(HaveOccurred())
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: f.domain}, DNSNames: []string{f.domain}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	Expect(err).NotTo(HaveOccurred())
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	Expect(err).NotTo(HaveOccurred())
	for name, block := range map[string]*pem.Block{chain: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		Expect(os.WriteFile(f.file(name), pem.EncodeToMemory(block), 0o600)).To(Succeed())
	}
	certificate, err := x509.ParseCertificate(der)
	Expect(err).NotTo(HaveOccurred())
	return certificate
}

func backups(f *follower) []reader.Moment {
	var backup map[string]string
	return []reader.Moment{{
		Block: "/chat-operator export",
		Before: func() {
			f.applyUser("mira")
			f.applyUser("tobias")
			apply(f.namespace, `
apiVersion: chat-operator.io/v1alpha1
kind: ChatGroup
metadata: {name: night-shift}
spec: {groupName: Night Shift, members: [mira, tobias]}
---
apiVersion: chat-operator.io/v1alpha1
kind: ChatRoom
metadata: {name: lobby}
spec: {displayName: The Lobby}
`)
			f.kubectl("wait", "--for=condition=Ready", "--timeout=30s", "chatgroup/night-shift", "chatroom/lobby")
			mira := f.login("mira")
			mira.addContact("ines@elsewhere.example", "Ines")
			mira.say(f.server, "tobias", "for later")
			mira.roster() // answered after the message before it
			Expect(f.call("rest", "POST", "/users", map[string]any{"username": "jun", "password": passwordOf("jun")})).To(HaveField("Status", 201))
			Expect(mira.session.Close()).To(Succeed())
			Eventually(func() string { return f.call("rest", "GET", "/sessions", nil).Body }, limit).ShouldNot(ContainSubstring("mira"))
		},
		After: func(string) {
			backup = archive(f.file("backup.tar.gz"))
			Expect(backup).To(And(HaveKey("manifests/chatusers/mira.yaml"), HaveKey("manifests/secrets/mira-password.yaml"), HaveKey("manifests/chatrooms/lobby.yaml")))
		},
	}, {
		Block: "--replicas=0",
		Before: func() {
			By("losing the namespace, and installing a new server")
			kubectl("", "delete", "namespace", f.namespace, "--timeout=2m")
			f.install()
			kubectl("", "label", "namespace", f.namespace, "pod-security.kubernetes.io/enforce=restricted")
		},
	}, {
		Block: "delete secret",
	}, {
		Block: "kubectl run",
		After: func(out string) {
			users := 0
			for name := range backup {
				if strings.HasPrefix(name, "manifests/chatusers/") {
					users++
				}
			}
			Expect(users).To(BeNumerically(">=", 3), "mira, tobias and jun, and whom earlier pages declared")
			Expect(out).To(And(ContainSubstring(fmt.Sprintf("ChatUser: %d made", users)), ContainSubstring("offline messages: 1 made")))
			f.ready("")
			By("exporting it again")
			again, err := tryKubectl(f.namespace, "", "exec", "chat-operator-0", "--", "/chat-operator", "export")
			Expect(err).NotTo(HaveOccurred())
			Expect(os.WriteFile(f.file("again.tar.gz"), []byte(again), 0o600)).To(Succeed())
			same := archive(f.file("again.tar.gz"))
			Expect(slices.Collect(maps.Keys(same))).To(ConsistOf(slices.Collect(maps.Keys(backup))))
			for name, content := range backup {
				Expect(strings.Split(same[name], "\n")).To(Equal(strings.Split(content, "\n")), name)
			}
			f.login("tobias").hear("for later")
			Expect(f.login("mira").roster()).To(HaveKeyWithValue("ines@elsewhere.example", HaveField("Name", "Ines")))
			f.login("jun")
		},
	}}
}

// archive are the files of an archive.
func archive(path string) map[string]string {
	GinkgoHelper()
	content, err := os.ReadFile(path)
	Expect(err).NotTo(HaveOccurred())
	z, err := gzip.NewReader(bytes.NewReader(content))
	Expect(err).NotTo(HaveOccurred())
	files := map[string]string{}
	for t := tar.NewReader(z); ; {
		header, err := t.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		Expect(err).NotTo(HaveOccurred())
		content, err := io.ReadAll(t)
		Expect(err).NotTo(HaveOccurred())
		files[header.Name] = string(content)
	}
}

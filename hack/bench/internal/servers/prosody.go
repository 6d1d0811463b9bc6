package servers

import (
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/chat-operator/chat-operator/hack/bench/internal/client"
	"github.com/chat-operator/chat-operator/hack/bench/internal/load"
	"github.com/chat-operator/chat-operator/hack/bench/internal/procs"
)

// prosody is Debian's Prosody.
type prosody struct {
	one
	env  *Env
	port int
}

func (p *prosody) Name() string { return prosodyName }

func (p *prosody) Missing() error {
	if _, err := exec.LookPath("prosody"); err != nil {
		return missing("Prosody", "Debian: apt-get install prosody")
	}
	return nil
}

func (p *prosody) dir() string { return filepath.Join(p.env.Dir, "prosody") }

// Modules: what the operator serves, and no more.
const prosodyConfig = `
run_as_root = true
daemonize = false
pidfile = "%[1]s/prosody.pid"
data_path = "%[1]s/data"
network_backend = "epoll"
network_settings = { tcp_backlog = 1024, nagle = false }
gc = { mode = "generational" }
interfaces = { "127.0.0.1" }
c2s_ports = { }
legacy_ssl_ports = { }
c2s_direct_tls_ports = { %[2]d }
s2s_ports = { }
http_ports = { }
https_ports = { }
ssl = { certificate = "%[3]s"; key = "%[4]s"; protocol = "tlsv1_3"; }
c2s_direct_tls_ssl = { certificate = "%[3]s"; key = "%[4]s"; protocol = "tlsv1_3"; }
authentication = "internal_hashed"
password_hash = "%[5]s"
default_iteration_count = %[6]d
c2s_require_encryption = true
modules_enabled = { "roster", "saslauth", "tls", "disco", "ping", "time", "version", "uptime", "offline" }
modules_disabled = { "s2s" }
log = { warn = "%[1]s/prosody.log" }
VirtualHost "%[7]s"
Component "%[8]s" "muc"
	restrict_room_creation = false
	muc_room_default_history_length = %[9]d
	max_history_messages = %[9]d
`

func (p *prosody) Prepare(context.Context) error {
	accounts := filepath.Join(p.dir(), "data", Domain, "accounts")
	if err := os.MkdirAll(accounts, 0o700); err != nil {
		return err
	}
	stored, server, err := p.env.verifier(p.env.Mechanism, p.env.Password)
	if err != nil {
		return err
	}
	// The format of Prosody's own storage; hashes are in hexadecimal.
	account := fmt.Sprintf("return {\n\t[\"iteration_count\"] = %d;\n\t[\"salt\"] = %q;\n\t[\"stored_key\"] = %q;\n\t[\"server_key\"] = %q;\n};\n",
		Iterations, Salt, hex.EncodeToString(stored), hex.EncodeToString(server))
	for i := range p.env.Accounts {
		if err := os.WriteFile(filepath.Join(accounts, load.Username(i)+".dat"), []byte(account), 0o600); err != nil {
			return err
		}
	}
	ports, err := procs.FreePorts(1)
	if err != nil {
		return err
	}
	p.port = ports[0]
	hash := strings.TrimPrefix(string(p.env.Mechanism), "SCRAM-")
	if p.env.Mechanism != client.SHA1 && p.env.Mechanism != client.SHA256 {
		return fmt.Errorf("Prosody does not know %s", p.env.Mechanism)
	}
	config := fmt.Sprintf(prosodyConfig, p.dir(), p.port, p.env.certFile(), p.env.keyFile(), hash, Iterations, Domain, Rooms, History)
	return os.WriteFile(filepath.Join(p.dir(), "prosody.cfg.lua"), []byte(config), 0o600)
}

func (p *prosody) Start(ctx context.Context) (*load.Target, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	var err error
	p.process, err = p.env.Launcher.Start(procs.Spec{
		Name: "Prosody", Path: "prosody", Args: []string{"-F", "--config", filepath.Join(p.dir(), "prosody.cfg.lua")},
		Log: p.env.log("prosody"), CPUs: p.env.CPUs, Grace: 15 * time.Second,
	})
	if err != nil {
		return nil, err
	}
	t := p.env.target(p.port, p.process.PID())
	return t, p.process.WaitReady(ctx, func(ctx context.Context) error { return probe(ctx, t) })
}

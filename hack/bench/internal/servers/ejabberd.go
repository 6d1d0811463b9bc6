package servers

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/chat-operator/chat-operator/hack/bench/internal/client"
	"github.com/chat-operator/chat-operator/hack/bench/internal/load"
	"github.com/chat-operator/chat-operator/hack/bench/internal/procs"
)

// ejabberd is Debian's ejabberd, started without its control script, which would change the user and the folders.
type ejabberd struct {
	one
	env        *Env
	port, http int
}

func (j *ejabberd) Name() string { return ejabberdName }

// libs is where Debian puts its Erlang applications, a folder for each architecture; empty: nowhere.
func (j *ejabberd) libs() string {
	found, _ := filepath.Glob("/usr/lib/*/ejabberd-*/ebin")
	if len(found) == 0 {
		return ""
	}
	return filepath.Dir(filepath.Dir(found[0]))
}

func (j *ejabberd) Missing() error {
	if _, err := exec.LookPath("erl"); err != nil || j.libs() == "" {
		return missing("ejabberd", "Debian: apt-get install ejabberd")
	}
	return nil
}

// Modules: what the operator serves, and no more. The API is for making accounts.
const ejabberdConfig = `
hosts: [ %[1]q ]
loglevel: warning
certfiles: [ %[2]q ]
listen:
  - port: %[3]d
    ip: "127.0.0.1"
    module: ejabberd_c2s
    tls: true
    max_stanza_size: 262144
    shaper: none
    backlog: 1024
    access: all
    protocol_options: [ no_sslv3, no_tlsv1, no_tlsv1_1, no_tlsv1_2 ]
  - port: %[4]d
    ip: "127.0.0.1"
    module: ejabberd_http
    request_handlers: { /api: mod_http_api }
api_permissions:
  bench: { who: [ { ip: "127.0.0.1/8" } ], what: [ register ] }
s2s_access: none
auth_method: [ internal ]
auth_password_format: scram
auth_scram_hash: %[5]s
disable_sasl_mechanisms: [ digest-md5 ]
max_fsm_queue: 10000
access_rules:
  unlimited: [ allow: all ]
shaper_rules:
  max_user_sessions: 10
  max_user_offline_messages: infinity
modules:
  mod_disco: {}
  mod_roster: { versioning: true }
  mod_ping: {}
  mod_time: {}
  mod_version: {}
  mod_last: {}
  mod_offline: { access_max_user_messages: max_user_offline_messages }
  mod_muc:
    host: %[6]q
    history_size: %[7]d
    max_users: 10000
    max_users_presence: 10000
    max_user_conferences: 1000
    default_room_options: { max_users: 10000 }
`

func (j *ejabberd) dir() string { return filepath.Join(j.env.Dir, "ejabberd") }

func (j *ejabberd) Prepare(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Join(j.dir(), "spool"), 0o700); err != nil {
		return err
	}
	ports, err := procs.FreePorts(2)
	if err != nil {
		return err
	}
	j.port, j.http = ports[0], ports[1]
	hash := "sha256"
	if j.env.Mechanism == client.SHA1 {
		hash = "sha"
	}
	config := fmt.Sprintf(ejabberdConfig, Domain, j.env.bothFile(), j.port, j.http, hash, Rooms, History)
	if err := os.WriteFile(filepath.Join(j.dir(), "ejabberd.yml"), []byte(config), 0o600); err != nil {
		return err
	}
	if _, err := j.launch(ctx); err != nil {
		return err
	}
	err = concurrently(j.env.Accounts, func(i int) error { return j.register(ctx, load.Username(i)) })
	if stop := j.Stop(); err == nil {
		err = stop
	}
	return err
}

func (j *ejabberd) register(ctx context.Context, username string) error {
	body, err := json.Marshal(map[string]string{"user": username, "host": Domain, "password": j.env.Password})
	if err != nil {
		return err
	}
	return post(ctx, http.DefaultClient, "http://"+address(j.http)+"/api/register", body, http.StatusOK, http.StatusConflict)
}

// launch starts it and returns when it takes connections.
func (j *ejabberd) launch(ctx context.Context) (*load.Target, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	spool := filepath.Join(j.dir(), "spool")
	var err error
	j.process, err = j.env.Launcher.Start(procs.Spec{
		Name: "ejabberd", Path: "erl",
		Args: []string{
			"-noinput", "+K", "true", "+P", "250000", "+Q", "65536",
			// No waiting at full speed: it would count as work.
			"+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none",
			"-mnesia", "dir", fmt.Sprintf("%q", spool), "-s", "ejabberd",
		},
		Env: []string{
			"EJABBERD_CONFIG_PATH=" + filepath.Join(j.dir(), "ejabberd.yml"), "EJABBERD_LOG_PATH=" + filepath.Join(j.dir(), "ejabberd.log"),
			"ERL_LIBS=" + j.libs(), "ERL_CRASH_DUMP=" + filepath.Join(j.dir(), "crash"), "HOME=" + j.dir(), "ERL_MAX_ETS_TABLES=20000",
		},
		Log: j.env.log("ejabberd"), CPUs: j.env.CPUs, Grace: 20 * time.Second,
	})
	if err != nil {
		return nil, err
	}
	if err := j.process.WaitReady(ctx, procs.Listening(address(j.http))); err != nil {
		return nil, err
	}
	return j.env.target(j.port, j.process.PID()), j.process.WaitReady(ctx, procs.Listening(address(j.port)))
}

func (j *ejabberd) Start(ctx context.Context) (*load.Target, error) {
	t, err := j.launch(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	return t, j.process.WaitReady(ctx, func(ctx context.Context) error { return probe(ctx, t) })
}

// post sends JSON and wants one of some answers.
func post(ctx context.Context, c *http.Client, url string, body []byte, want ...int) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return err
	}
	for _, code := range want {
		if resp.StatusCode == code {
			return nil
		}
	}
	return fmt.Errorf("POST %s: %s: %s", url, resp.Status, text[:min(len(text), 300)])
}

// concurrently calls do for 0..n-1, some at a time.
func concurrently(n int, do func(int) error) error {
	const workers = 16
	errs := make(chan error, workers)
	for w := range workers {
		go func() {
			for i := w; i < n; i += workers {
				if err := do(i); err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	var first error
	for range workers {
		if err := <-errs; first == nil {
			first = err
		}
	}
	return first
}

package main

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestCheckPortsNamesEachBusyPortAndItsVariable(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	busy := ln.Addr().(*net.TCPAddr).Port
	err = checkPorts([]port{{busy, "XMPP with STARTTLS", "XMPP_PORT"}, {busy, "etcd", "ETCD_PORT"}})
	if err == nil {
		t.Fatal("a busy port was taken for free")
	}
	for _, want := range []string{"XMPP with STARTTLS", "XMPP_PORT=PORT", ln.Addr().String(), "etcd", "ETCD_PORT=PORT", "PORTS=free"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}

func TestSettingsComeFromFlags(t *testing.T) {
	s, err := parseSettings([]string{"--cluster=current", "--xmpp-port=15222", "--", "--tls-cert-file=x"})
	if err != nil {
		t.Fatal(err)
	}
	if !s.current || s.xmpp.address() != "127.0.0.1:15222" || s.rest.number != 9090 || len(s.passOn) != 1 || !filepath.IsAbs(s.dir) {
		t.Errorf("got %+v", s)
	}
	if len(s.ports()) != 6 {
		t.Errorf("a run in another cluster listens on %v, want the operator's ports alone", s.ports())
	}
	if _, err := parseSettings([]string{"--cluster=remote"}); err == nil {
		t.Error("an unknown cluster was accepted")
	}
}

func TestVariablesOfTheMakefile(t *testing.T) {
	for _, c := range []struct{ given, want string }{
		{"CLUSTER=locl", "CLUSTER=locl is not understood: CLUSTER is local, which starts a control plane, or current, which uses that of KUBECONFIG"},
		{"SAMPLES=maybe", "SAMPLES=maybe is not understood: SAMPLES is true or false"},
		{"OPERATOR=no", "OPERATOR=no is not understood: OPERATOR is true or false, which starts the control plane alone"},
		{"OPERATOR=", "OPERATOR= is not understood: OPERATOR is true or false, which starts the control plane alone"},
		{"PORTS=freee", "PORTS=freee is not understood: PORTS is free, which finds free ports; without it they are those of the Makefile"},
	} {
		if err := checkVariables([]string{c.given}); err == nil || err.Error() != c.want {
			t.Errorf("%s: %v", c.given, err)
		}
	}
	for _, given := range []string{"CLUSTER=local SAMPLES=true OPERATOR=true PORTS=", "CLUSTER=current SAMPLES=false OPERATOR=false PORTS=free"} {
		if err := checkVariables(strings.Split(given, " ")); err != nil {
			t.Errorf("%s: %v", given, err)
		}
	}
	// What make run is told is looked at before anything else is done.
	out, err := exec.Command("make", "-C", "../..", "-n", "run", "CLUSTER=locl", "SAMPLES=maybe", "OPERATOR=no", "PORTS=freee").Output()
	if err != nil {
		t.Fatal(err)
	}
	checks, builds := strings.Index(string(out), "bin/run variables 'CLUSTER=locl' 'SAMPLES=maybe' 'OPERATOR=no' 'PORTS=freee'"), strings.Index(string(out), "bin/chat-operator .")
	if checks < 0 || builds < checks {
		t.Errorf("make run does\n%s", out)
	}
}

func TestFreePortsAreForWhatIsNotGiven(t *testing.T) {
	s, err := parseSettings([]string{"--free-ports", "--xmpp-port=15222"})
	if err != nil {
		t.Fatal(err)
	}
	if s.xmpp.number != 15222 || s.xmpp.variable != "XMPP_PORT" {
		t.Errorf("the port that was given became %+v", s.xmpp)
	}
	for _, p := range s.portFlags() {
		if p.port.number == p.number {
			t.Errorf("%s has its port of always, %d", p.what, p.number)
		}
	}
}

func TestTheControlPlaneAlone(t *testing.T) {
	s, err := parseSettings([]string{"--control-plane-only"})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(s.ports()); n != 4 {
		t.Errorf("it listens on %d ports, want those of the control plane", n)
	}
	if _, err := parseSettings([]string{"--control-plane-only", "--cluster=current"}); err == nil {
		t.Error("a run of nothing at all was accepted")
	}
}

func TestAccountsToLogInWith(t *testing.T) {
	user := func(name string, locked bool) (u chatUser) {
		u.Metadata.Name, u.Spec.Locked = name, locked
		u.Status.JID, u.Status.Binding.Name = name+"@localhost", name+"-password"
		return u
	}
	users := []chatUser{user("ada", false), user("ines", true), user("jun", false), user("mira", false), user("tobias", false)}
	readable := map[string]bool{"ada-password": true, "ines-password": true, "mira-password": true, "tobias-password": true}
	samples := []string{"chatuser.chat-operator.io/mira", "chatuser.chat-operator.io/tobias"}
	for _, c := range []struct {
		name  string
		users []chatUser
		want  []string
	}{
		{"the samples come first", users, []string{"mira@localhost", "tobias@localhost"}},
		{"then others, none locked, none whose password nobody can read", users[:4], []string{"mira@localhost", "ada@localhost"}},
		{"a locked sample", []chatUser{user("ada", false), user("mira", true)}, []string{"ada@localhost"}},
	} {
		var got []string
		for _, a := range pickAccounts(c.users, readable, samples) {
			got = append(got, a.jid)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestOneRunAFolder(t *testing.T) {
	dir := t.TempDir()
	unlock, err := lockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lockDir(dir); err == nil || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "make run RUN_DIR=FOLDER PORTS=free") {
		t.Errorf("a second run got %v", err)
	}
	unlock()
	unlock, err = lockDir(dir)
	if err != nil {
		t.Fatalf("the lock outlived its holder: %v", err)
	}
	unlock()
}

func TestStampChangesWithTheSources(t *testing.T) {
	module := t.TempDir()
	write := func(name, content string) {
		path := filepath.Join(module, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", "module m\n")
	write("go.sum", "")
	write("cmd/etcd/main.go", "package main\n")
	b := &builder{goTool: "go", module: module, commands: "cmd", binaries: []string{"etcd"}}
	of := func() string {
		s, err := b.stamp(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	first := of()
	if of() != first {
		t.Error("the stamp changes without reason")
	}
	write("cmd/etcd/main.go", "package main // changed\n")
	second := of()
	if second == first {
		t.Error("the stamp does not see a changed file")
	}
	bin := t.TempDir()
	write(filepath.Join("..", filepath.Base(bin), ".stamp"), second)
	if b.upToDate(bin, second) {
		t.Error("up to date without a single binary")
	}
	write("node/kubelet/main.go", "package main\n")
	if of() != second {
		t.Error("the control plane would be built anew for what it has no part in")
	}
}

func TestBuildLineEstimatesOnceThereIsSomethingToGoBy(t *testing.T) {
	for _, c := range []struct {
		done, total int
		elapsed     time.Duration
		want        string
	}{
		{0, 2000, 0, "Compiling: 0 of 2000 packages"},
		{50, 2000, 5 * time.Second, "Compiling: 50 of 2000 packages"},
		{1000, 2000, 100 * time.Second, "left"},
		{2000, 2000, 3 * time.Minute, "Linking"},
		{0, 0, 0, "Linking"},
	} {
		got := buildLine(c.done, c.total, c.elapsed, []string{"etcd"})
		if !strings.Contains(got, c.want) || (c.want != "left" && strings.Contains(got, "left")) {
			t.Errorf("%d of %d after %s: %q, want %q", c.done, c.total, c.elapsed, got, c.want)
		}
	}
}

func TestProgressIsQuietWhereNobodyWatches(t *testing.T) {
	var out bytes.Buffer
	p := newProgress(&out)
	begun := time.Now()
	for range 100 {
		p.say(time.Now().String())
	}
	p.end()
	if n := strings.Count(out.String(), "\n"); n < 1 || n > 1+int(time.Since(begun)/(10*time.Second)) {
		t.Errorf("%d lines in %s, want one every ten seconds", n, time.Since(begun))
	}
}

// With PORTS=free nobody could guess where probes and metrics are.
func TestReportNamesEachPortOfTheOperator(t *testing.T) {
	s, err := parseSettings([]string{"--free-ports", "--dir=" + t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	rep := &report{xmppAddr: s.xmpp.address(), restURL: "http://" + s.rest.address()}
	var printed bytes.Buffer
	rep.print(&printed, s, time.Second)
	if err := writeEnv(s, rep); err != nil {
		t.Fatal(err)
	}
	env, err := os.ReadFile(filepath.Join(s.dir, "env"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []port{s.xmpp, s.xmpps, s.rest, s.restTLS, s.health, s.metrics} {
		if !strings.Contains(printed.String(), strconv.Itoa(p.number)) {
			t.Errorf("port %d of %s is not in\n%s", p.number, p.what, printed.String())
		}
	}
	for _, line := range []string{"export HEALTH_ADDR='" + s.health.address() + "'\n", "export METRICS_ADDR='" + s.metrics.address() + "'\n"} {
		if !strings.Contains(string(env), line) {
			t.Errorf("%q is not in\n%s", line, env)
		}
	}
	// Without a server nothing of another one is left in a shell.
	s.controlPlaneOnly = true
	if err := writeEnv(s, rep); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", string(env)+"\n. "+shellQuote(filepath.Join(s.dir, "env"))+"\nenv")
	left, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"XMPP_ADDR", "XMPPS_ADDR", "HEALTH_ADDR", "METRICS_ADDR", "REST_URL", "REST_SECRET", "KUBECTL_CHAT_REST_URL", "OPERATOR_PID"} {
		if strings.Contains("\n"+string(left), "\n"+name+"=") {
			t.Errorf("%s is left of a server before", name)
		}
	}
}

func TestEnvSurvivesAShell(t *testing.T) {
	if got, want := shellQuote("it's $HOME"), `'it'\''s $HOME'`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"sort"
	"strings"
	"time"
)

// buildControlPlane is the command `controlplane`: it builds the binaries of one folder of hack/controlplane unless those there are
// already of the same sources, and says meanwhile how far it is. The folder cmd is the control plane, node what a node has besides.
func buildControlPlane(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("controlplane", flag.ContinueOnError)
	module := flags.String("module", "hack/controlplane", "folder of the module to build")
	commands := flags.String("commands", "cmd", "folder of the module with the commands to build")
	bin := flags.String("bin", "bin/k8s", "folder that takes the binaries")
	goTool := flags.String("go", "go", "the go command")
	if err := flags.Parse(args); err != nil {
		return err
	}
	b := &builder{goTool: *goTool, module: *module, commands: *commands, out: out, progress: newProgress(out)}
	want, err := b.stamp(ctx)
	if err != nil {
		return err
	}
	if b.binaries, err = b.names(); err != nil {
		return err
	}
	if b.upToDate(*bin, want) {
		return nil
	}
	// The stamp goes first and comes last: an interrupted build is never taken for a finished one.
	stampFile := filepath.Join(*bin, ".stamp")
	if err := os.Remove(stampFile); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(*bin, 0o755); err != nil {
		return err
	}
	fmt.Fprintf(out, "Kubernetes (%s) is built from Go modules, once; later runs skip this.\n", strings.Join(b.binaries, ", "))
	fmt.Fprintln(out, "  From nothing that takes a few minutes on two cores.")
	if err := b.download(ctx); err != nil {
		return err
	}
	if err := b.build(ctx, *bin); err != nil {
		return err
	}
	return os.WriteFile(stampFile, []byte(want), 0o644)
}

// names are the commands in the folder.
func (b *builder) names() ([]string, error) {
	dirs, err := filepath.Glob(filepath.Join(b.module, b.commands, "*"))
	if err != nil || len(dirs) == 0 {
		return nil, errors.Join(err, fmt.Errorf("%s has no commands in %s", b.module, b.commands))
	}
	var names []string
	for _, dir := range dirs {
		names = append(names, filepath.Base(dir))
	}
	return names, nil
}

func (b *builder) upToDate(bin, want string) bool {
	have, err := os.ReadFile(filepath.Join(bin, ".stamp"))
	if err != nil || string(have) != want {
		return false
	}
	for _, name := range b.binaries {
		if _, err := os.Stat(filepath.Join(bin, name)); err != nil {
			return false
		}
	}
	return true
}

// stamp identifies everything that decides what the build gives: the module's files and the compiler.
func (b *builder) stamp(ctx context.Context) (string, error) {
	files, err := filepath.Glob(filepath.Join(b.module, b.commands, "*", "*.go"))
	if err != nil {
		return "", err
	}
	files = append(files, filepath.Join(b.module, "go.mod"), filepath.Join(b.module, "go.sum"))
	sort.Strings(files)
	h := sha256.New()
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		name, err := filepath.Rel(b.module, file)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%s %d\n", filepath.ToSlash(name), len(content))
		h.Write(content)
	}
	version, err := exec.CommandContext(ctx, b.goTool, "version").Output()
	if err != nil {
		return "", fmt.Errorf("ask the Go compiler for its version: %w", err)
	}
	h.Write(version)
	return fmt.Sprintf("%x\n", h.Sum(nil)), nil
}

type builder struct {
	goTool   string
	module   string
	commands string   // the folder of the module
	binaries []string // the commands in it
	out      io.Writer
	progress *progress
}

func (b *builder) goCommand(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, b.goTool, args...)
	cmd.Dir = b.module
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	return cmd
}

func (b *builder) download(ctx context.Context) error {
	b.progress.say("Downloading its modules")
	cmd := b.goCommand(ctx, "mod", "download")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		b.progress.end()
		return fmt.Errorf("download the modules of %s: %w\n%s", b.module, err, stderr.String())
	}
	return nil
}

func (b *builder) build(ctx context.Context, bin string) error {
	target, err := filepath.Abs(bin)
	if err != nil {
		return err
	}
	ldflags, err := b.ldflags(ctx)
	if err != nil {
		return err
	}
	total, err := b.stalePackages(ctx)
	if err != nil {
		return err
	}
	cmd := b.goCommand(ctx, "build", "-v", "-trimpath", "-ldflags", ldflags, "-o", target+string(filepath.Separator), "./"+b.commands+"/...")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	done, start := 0, time.Now()
	var rest []string
	lines := bufio.NewScanner(stderr)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	read := make(chan string)
	go func() {
		defer close(read)
		for lines.Scan() {
			read <- lines.Text()
		}
	}()
	for open := true; open; {
		select {
		case line, ok := <-read:
			if open = ok; !ok {
				break
			}
			if packageLine.MatchString(line) {
				done++
			} else {
				rest = append(rest, line)
			}
		case <-tick.C:
		}
		b.progress.say(buildLine(done, total, time.Since(start), b.binaries))
	}
	err = cmd.Wait()
	b.progress.end()
	if ctx.Err() != nil {
		return errors.New("the build of Kubernetes was interrupted; the next start goes on where it stopped")
	}
	if err != nil {
		return fmt.Errorf("build Kubernetes: %w\n%s", err, strings.Join(rest, "\n"))
	}
	fmt.Fprintf(b.out, "Kubernetes is built (%s).\n", time.Since(start).Round(time.Second))
	return nil
}

// packageLine is a line of `go build -v`: an import path and nothing else.
var packageLine = regexp.MustCompile(`^[A-Za-z0-9_.\-/~]+$`)

// buildLine says how far a build is. Packages differ in size, so the estimate is coarse, and there is none before a twentieth is done.
func buildLine(done, total int, elapsed time.Duration, binaries []string) string {
	if done >= total {
		return "Linking " + strings.Join(binaries, ", ")
	}
	line := fmt.Sprintf("Compiling: %d of %d packages", done, total)
	if done*20 < total {
		return line
	}
	left := time.Duration(float64(elapsed) / float64(done) * float64(total-done))
	// Linking follows, for about as long as these seconds on two cores.
	left += 20 * time.Second * 2 / time.Duration(max(2, runtime.NumCPU()))
	return fmt.Sprintf("%s, about %s left", line, left.Round(10*time.Second))
}

// stalePackages counts what the build cache does not hold.
func (b *builder) stalePackages(ctx context.Context) (int, error) {
	out, err := b.goCommand(ctx, "list", "-trimpath", "-deps", "-f", "{{if .Stale}}{{.ImportPath}}{{end}}", "./"+b.commands+"/...").Output()
	if err != nil {
		return 0, fmt.Errorf("list the packages of Kubernetes: %w", err)
	}
	return len(bytes.Fields(out)), nil
}

// ldflags makes the binaries small and has them report Kubernetes' version, without which clients take them for unparsable.
func (b *builder) ldflags(ctx context.Context) (string, error) {
	out, err := b.goCommand(ctx, "list", "-m", "-f", "{{.Version}}", "k8s.io/kubernetes").Output()
	if err != nil {
		return "", fmt.Errorf("find the version of Kubernetes in %s: %w", b.module, err)
	}
	version := strings.TrimSpace(string(out))
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	if len(parts) != 3 {
		return "", fmt.Errorf("the version of k8s.io/kubernetes in %s is %q, which is none", b.module, version)
	}
	flags := []string{"-s", "-w"}
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		flags = append(flags,
			"-X", pkg+".gitVersion="+version, "-X", pkg+".gitMajor="+parts[0], "-X", pkg+".gitMinor="+parts[1], "-X", pkg+".gitTreeState=clean")
	}
	return strings.Join(flags, " "), nil
}

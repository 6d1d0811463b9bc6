// Command licenses writes what has to go with a program to whoever gets it: this repository's LICENSE, and in THIRD-PARTY-LICENSES.txt the licenses and notices of
// everything that is linked into it.
//
//	licenses --package cmd/kubectl-chat --os windows --arch amd64 --output FOLDER
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// ours is what the names of this repository's modules begin with.
const ours = "github.com/chat-operator/chat-operator"

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "licenses:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("licenses", flag.ContinueOnError)
	var p program
	flags.StringVar(&p.folder, "package", ".", "folder of the program's main package")
	flags.StringVar(&p.os, "os", "linux", "operating system that the program is built for, as Go calls it")
	flags.StringVar(&p.arch, "arch", "amd64", "architecture that the program is built for, as Go calls it")
	flags.StringVar(&p.command, "go", "go", "the go command")
	license := flags.String("license", "LICENSE", "this repository's own license")
	output := flags.String("output", "", "folder to write to")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 || *output == "" {
		return errors.New("give --output, and nothing but options")
	}
	own, err := os.ReadFile(*license)
	if err != nil {
		return err
	}
	texts, err := p.linked()
	if err != nil {
		return err
	}
	var list bytes.Buffer
	write(&list, texts)
	if err := os.MkdirAll(*output, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(*output, "LICENSE"), own, 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(*output, "THIRD-PARTY-LICENSES.txt"), list.Bytes(), 0o644)
}

// program is what the texts go with.
type program struct{ folder, os, arch, command string }

// text is a license or notice, with all that it is of.
type text struct {
	of      []string
	content string
}

// linked are the texts of what is linked into a program, each once.
func (p *program) linked() ([]text, error) {
	goVersion, err := p.goCommand("env", "GOVERSION", "GOROOT")
	if err != nil {
		return nil, err
	}
	packages, err := p.goCommand("list", "-deps", "-f", "{{with .Module}}{{.Path}}\t{{.Version}}\t{{.Dir}}\t{{$.Dir}}{{end}}", ".")
	if err != nil {
		return nil, err
	}
	var texts []text
	at := map[string]int{} // by content
	add := func(name, file string) error {
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		trimmed := strings.TrimSpace(strings.ReplaceAll(string(content), "\r\n", "\n"))
		i, known := at[trimmed]
		if !known {
			i = len(texts)
			at[trimmed] = i
			texts = append(texts, text{content: trimmed})
		}
		if !slices.Contains(texts[i].of, name) {
			texts[i].of = append(texts[i].of, name)
		}
		return nil
	}
	release, root, _ := strings.Cut(strings.TrimSpace(goVersion), "\n")
	if err := add("Go "+strings.TrimPrefix(release, "go"), filepath.Join(root, "LICENSE")); err != nil {
		return nil, err
	}
	var lines []string
	for line := range strings.Lines(packages) {
		if line = strings.TrimSpace(line); line != "" && line != ours && !strings.HasPrefix(line, ours+"\t") && !strings.HasPrefix(line, ours+"/") {
			lines = append(lines, line)
		}
	}
	slices.Sort(lines)
	for _, line := range lines {
		fields := strings.Split(line, "\t")
		module, version, root, dir := fields[0], fields[1], fields[2], fields[3]
		found, err := textsOf(root, dir)
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("%s %s has no file with its license in %s", module, version, root)
		}
		for _, file := range found {
			name := module + " " + version
			if within, err := filepath.Rel(root, filepath.Dir(file)); err == nil && within != "." {
				name += ", " + filepath.ToSlash(within)
			}
			if err := add(name, file); err != nil {
				return nil, err
			}
		}
	}
	return texts, nil
}

// What files with licenses and notices are called, such as LICENSE-SQLITE, LICENCE.md, COPYING and NOTICE.
var named = regexp.MustCompile(`(?i)^(un)?(licen[cs]e|copying|notice|patent)s?([.-][^/]*)?$`)

// textsOf are the files with licenses and notices of a package's folder and of those above it, up to that of its module.
func textsOf(root, dir string) ([]string, error) {
	var found []string
	for {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if e.Type().IsRegular() && named.MatchString(e.Name()) && filepath.Ext(e.Name()) != ".go" {
				found = append(found, filepath.Join(dir, e.Name()))
			}
		}
		if dir == root || dir == filepath.Dir(dir) {
			slices.Sort(found)
			return found, nil
		}
		dir = filepath.Dir(dir)
	}
}

// goCommand is what the go command says about a program that is built as releases are.
func (p *program) goCommand(args ...string) (string, error) {
	cmd := exec.Command(p.command, args...)
	cmd.Dir = p.folder
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+p.os, "GOARCH="+p.arch)
	var failure bytes.Buffer
	cmd.Stderr = &failure
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", p.command, args[0], err, failure.String())
	}
	return string(out), nil
}

func write(w io.Writer, texts []text) {
	fmt.Fprint(w, "This program contains the following software. Each text is that of what is named above it.\n")
	rule := strings.Repeat("=", 80)
	for _, t := range texts {
		fmt.Fprintf(w, "\n%s\n%s\n%s\n\n%s\n", rule, strings.Join(t.of, "\n"), rule, t.content)
	}
}

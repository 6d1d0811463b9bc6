package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func read(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// What BSD, MIT and Apache licenses want: their texts, with the names of those who have the rights, and notices.
func TestTextsGoWithTheProgram(t *testing.T) {
	top := filepath.Join("..", "..")
	output := filepath.Join(t.TempDir(), "new", "licenses")
	if err := run([]string{"--package=" + top, "--license=" + filepath.Join(top, "LICENSE"), "--output=" + output}); err != nil {
		t.Fatal(err)
	}
	if read(t, filepath.Join(output, "LICENSE")) != read(t, filepath.Join(top, "LICENSE")) {
		t.Error("LICENSE is another")
	}
	list := read(t, filepath.Join(output, "THIRD-PARTY-LICENSES.txt"))
	for _, want := range []string{
		"\nGo 1.", "\nCopyright 2009 The Go Authors.\n", // in whatever Go makes
		"\nmodernc.org/sqlite v", "\nk8s.io/client-go v", // modules
		"\nk8s.io/utils v", ", third_party/forked/golang\n", // a package with a license of its own
		"\ngithub.com/prometheus/client_golang v", "The following components are included in this product:", // a notice
	} {
		if !strings.Contains(list, want) {
			t.Errorf("%q is not among the texts", want)
		}
	}
	for _, not := range []string{"github.com/chat-operator/", "github.com/onsi/ginkgo", top, t.TempDir()} {
		if strings.Contains(list, not) {
			t.Errorf("%q is among the texts", not)
		}
	}
	if n := strings.Count(list, "TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION"); n > 8 {
		t.Errorf("the Apache License is there %d times: the same text is to stand once", n)
	}

	again := filepath.Join(t.TempDir(), "again")
	if err := run([]string{"--package=" + top, "--license=" + filepath.Join(top, "LICENSE"), "--output=" + again}); err != nil {
		t.Fatal(err)
	}
	if read(t, filepath.Join(again, "THIRD-PARTY-LICENSES.txt")) != list {
		t.Error("a second time, the texts are others")
	}
}

func TestNamesOfTexts(t *testing.T) {
	for _, name := range []string{"LICENSE", "LICENSE.txt", "license.md", "LICENCE", "LICENSE-SQLITE", "LICENSE-3RD-PARTY.md", "COPYING", "NOTICE", "NOTICE.txt", "UNLICENSE", "LICENSES", "PATENTS"} {
		if !named.MatchString(name) {
			t.Errorf("%s is left out", name)
		}
	}
	for _, name := range []string{"README.md", "licensed.go", "noticeboard"} {
		if named.MatchString(name) {
			t.Errorf("%s is taken", name)
		}
	}
}

package markdown

import (
	"reflect"
	"testing"
)

func TestParse(t *testing.T) {
	p, err := Parse("# A page, `with` 2 parts\n\nSee [it](other.md#there) and `a](b)`.\n\n" +
		"<!-- needs: cluster -->\n```sh\nhelm list\n```\n\n## Again\n## Again\n1. So:\n   ```sh\n   cat <<END\n     x\n   END\n   ```\n")
	if err != nil {
		t.Fatal(err)
	}
	want := &Page{
		Blocks: []Block{
			{Language: "sh", Text: "helm list\n", Line: 6, Needs: "cluster"},
			{Language: "sh", Text: "cat <<END\n  x\nEND\n", Line: 13},
		},
		Links:   []Link{{"other.md#there", 3}},
		Code:    []Code{{"with", 1}, {"a](b)", 3}},
		Anchors: map[string]bool{"a-page-with-2-parts": true, "again": true, "again-1": true},
	}
	if !reflect.DeepEqual(p, want) {
		t.Errorf("got  %+v\nwant %+v", p, want)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{"```sh\nls\n", "<!-- needs: cluster -->\nWords.\n"} {
		if _, err := Parse(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

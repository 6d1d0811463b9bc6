// Package markdown reads as much of a page of documentation as its tests need: the commands in it, its links and its headings.
package markdown

import (
	"fmt"
	"os"
	"regexp"
	"strings"
)

// Page is a Markdown file.
type Page struct {
	Blocks []Block
	Links  []Link
	// Code is what stands between single backticks.
	Code []Code
	// Anchors are what a link may name after a #, as GitHub makes them of headings.
	Anchors map[string]bool
}

// Block is a fenced block.
type Block struct {
	Language string
	Text     string
	Line     int // of its first fence
	// Needs is what a comment just before the block says that it takes: <!-- needs: cluster -->. Empty: nothing special.
	Needs string
}

// Link is a link to somewhere.
type Link struct {
	Target string
	Line   int
}

// Code is a piece of code in a sentence.
type Code struct {
	Text string
	Line int
}

var (
	needs   = regexp.MustCompile(`^<!-- needs: (.*) -->$`)
	heading = regexp.MustCompile(`^#{1,6} +(.*?)[ #]*$`)
	link    = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	code    = regexp.MustCompile("`([^`]+)`")
	// unslugged is what GitHub leaves out of an anchor.
	unslugged = regexp.MustCompile(`[^\p{L}\p{N}\p{M}_ -]`)
)

// Read reads a file.
func Read(path string) (*Page, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	p, err := Parse(string(content))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}

// Parse reads a page. A block that never ends is an error: what it hides would be looked at by nobody.
func Parse(text string) (*Page, error) {
	p := &Page{Anchors: map[string]bool{}}
	var block *Block
	var indent, wanted string
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimRight(line, "\r\n")
		trimmed := strings.TrimLeft(line, " ")
		switch {
		case block != nil && trimmed == "```":
			p.Blocks = append(p.Blocks, *block)
			block = nil
		case block != nil:
			block.Text += strings.TrimPrefix(line, indent) + "\n"
		case strings.HasPrefix(trimmed, "```"):
			indent = line[:len(line)-len(trimmed)]
			block = &Block{Language: strings.TrimSpace(strings.TrimPrefix(trimmed, "```")), Line: number, Needs: wanted}
			wanted = ""
		default:
			if m := needs.FindStringSubmatch(trimmed); m != nil {
				wanted = m[1]
				continue
			}
			if wanted != "" && trimmed != "" {
				return nil, fmt.Errorf("line %d: a comment about what a block needs stands before something else", number)
			}
			p.sentence(line, number)
		}
	}
	if block != nil {
		return nil, fmt.Errorf("line %d: the block that begins here has no end", block.Line)
	}
	return p, nil
}

// sentence reads a line outside of blocks.
func (p *Page) sentence(line string, number int) {
	if m := heading.FindStringSubmatch(line); m != nil {
		p.anchor(m[1])
	}
	for _, m := range code.FindAllStringSubmatch(line, -1) {
		p.Code = append(p.Code, Code{m[1], number})
	}
	for _, m := range link.FindAllStringSubmatch(code.ReplaceAllString(line, ""), -1) {
		p.Links = append(p.Links, Link{m[1], number})
	}
}

// anchor adds the anchor of a heading; one that is there already gets a number.
func (p *Page) anchor(title string) {
	title = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`).ReplaceAllString(title, "$1")
	slug := strings.ReplaceAll(unslugged.ReplaceAllString(strings.ToLower(title), ""), " ", "-")
	unique := slug
	for n := 1; p.Anchors[unique]; n++ {
		unique = fmt.Sprintf("%s-%d", slug, n)
	}
	p.Anchors[unique] = true
}

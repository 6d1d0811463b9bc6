// Package similar finds the word that somebody has misspelled: the key of a property, or a flag of a command.
package similar

import "strings"

// misspelled is how many characters of a word may be missing, too many or others for it to resemble another one; of a short word, fewer than half.
const misspelled = 3

// To is the known word that an unknown one resembles most, in whichever case; of several the first one, and empty if there is none.
func To(unknown string, known []string) (word string) {
	least := min(misspelled+1, (len(unknown)+1)/2)
	for _, k := range known {
		if d := distance(strings.ToLower(unknown), strings.ToLower(k), least); d < least {
			least, word = d, k
		}
	}
	return word
}

// distance is Levenshtein's: how many bytes have to be added, removed or replaced to make one text of the other. It stops counting at most.
func distance(a, b string, most int) int {
	if len(a)-len(b) >= most || len(b)-len(a) >= most {
		return most
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return min(row[len(b)], most)
}

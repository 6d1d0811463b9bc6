package directory

import "strings"

// misspelled is how many characters of a key may be missing, too many or others for it to resemble another one.
const misspelled = 3

// SimilarSetting judges a key that is not that of a setting. Ours says that it begins like one; key is then the setting's key that it resembles, empty if
// there is none.
func SimilarSetting(unknown string) (key string, ours bool) {
	least := misspelled + 1
	for _, s := range Settings() {
		first, _, _ := strings.Cut(s.Key, ".")
		if first == "plugin" { // other plugins of Openfire have properties that programs keep here
			first = "plugin.restapi"
		}
		if !strings.HasPrefix(unknown, first+".") {
			continue
		}
		ours = true
		if d := distance(strings.ToLower(unknown), strings.ToLower(s.Key), least); d < least {
			least, key = d, s.Key
		}
	}
	return key, ours
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

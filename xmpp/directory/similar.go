package directory

import (
	"strings"

	"github.com/chat-operator/chat-operator/xmpp/similar"
)

// SimilarSetting judges a key that is not that of a setting. Ours says that it begins like one; key is then the setting's key that it resembles, empty if
// there is none.
func SimilarSetting(unknown string) (key string, ours bool) {
	var candidates []string
	for _, s := range Settings() {
		first, _, _ := strings.Cut(s.Key, ".")
		if first == "plugin" { // other plugins of Openfire have properties that programs keep here
			first = "plugin.restapi"
		}
		if strings.HasPrefix(unknown, first+".") {
			candidates = append(candidates, s.Key)
		}
	}
	return similar.To(unknown, candidates), len(candidates) > 0
}

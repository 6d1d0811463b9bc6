module github.com/chat-operator/chat-operator/hack/bench

go 1.26.0

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"mellium.im/sasl"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
)

// answer is what REST answered.
type answer struct {
	Status int
	Header http.Header
	Body   string
}

func (a answer) String() string { return fmt.Sprintf("%d %s", a.Status, a.Body) }

// call calls REST with the shared secret. A body that is not nil goes as JSON.
func (s *server) call(method, path string, body any) answer {
	GinkgoHelper()
	a, err := s.tryCall(s.restSecret(), method, path, body)
	Expect(err).NotTo(HaveOccurred())
	return a
}

func (s *server) tryCall(secret, method, path string, body any) (answer, error) {
	var b []byte
	if body != nil {
		var err error
		if b, err = json.Marshal(body); err != nil {
			return answer{}, err
		}
	}
	// Above what the server gives itself for the longest call, a change of very many things.
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+s.rest+"/plugins/restapi/v1"+path, bytes.NewReader(b))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Authorization", secret)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(out)}, err
}

func user(name, password string) map[string]any {
	return map[string]any{"username": name, "password": password, "name": "The " + name, "email": name + "@mail.example"}
}

// users are the ChatUsers of the server's namespace.
func (s *server) users() []v1alpha1.ChatUser {
	GinkgoHelper()
	list := &v1alpha1.ChatUserList{}
	Expect(kube.List(context.Background(), list, client.InNamespace(s.namespace))).To(Succeed())
	return list.Items
}

var _ = Describe("The same user by REST", Ordered, ContinueOnFailure, func() {
	var s *server
	BeforeAll(func() { s = newServer("rest") })

	It("answers 201 only once the account can log in", func() {
		for i := range 20 {
			name, password := fmt.Sprintf("user%d", i), fmt.Sprintf("word %d", i)
			Expect(s.call("POST", "/users", user(name, password))).To(HaveField("Status", 201))
			_, err := s.tryLogin(name, password, sasl.ScramSha256Plus)
			Expect(err).NotTo(HaveOccurred(), "log in as %s right after the 201", name)
		}
	})

	It("makes it a ChatUser like any other, whose password rests only as verifiers", func() {
		got := s.kubectl("get", "chatuser", "user0", "--output=jsonpath={.spec.displayName}")
		Expect(got).To(Equal("The user0"))
		name := s.kubectl("get", "chatuser", "user0", "--output=jsonpath={.spec.credentials.secretRef.name}")
		keys := s.kubectl("get", "secret", name, "--output=go-template={{range $k, $v := .data}}{{$k}} {{end}}")
		Expect(keys).To(And(ContainSubstring("scram-sha-256"), ContainSubstring("scram-sha-1"), Not(ContainSubstring("password"))))
	})

	It("carries the whole story: subscribe, chat, change, delete", func() {
		Expect(s.call("POST", "/users/user0/roster", map[string]any{"jid": "user1@" + domain, "nickname": "One", "subscriptionType": 3})).To(HaveField("Status", 201))
		Expect(s.call("POST", "/users/user1/roster", map[string]any{"jid": "user0@" + domain, "nickname": "Zero", "subscriptionType": 3})).To(HaveField("Status", 201))
		zero := s.login("user0", "word 0")
		one := s.login("user1", "word 1")
		zero.see("", "user1")
		one.say("user0", "hello")
		zero.hear("hello")
		zero.say("user1", "hello yourself")
		one.hear("hello yourself")
		Expect(s.call("GET", "/sessions/user0", nil)).To(HaveField("Body", ContainSubstring("user0@"+domain+"/"+zero.session.LocalAddr().Resourcepart())))

		Expect(s.call("PUT", "/users/user0", map[string]any{"password": "a new word"})).To(HaveField("Status", 200))
		_, err := s.tryLogin("user0", "a new word", sasl.ScramSha256Plus)
		Expect(err).NotTo(HaveOccurred())
		_, err = s.tryLogin("user0", "word 0", sasl.ScramSha256Plus)
		Expect(err).To(HaveOccurred())

		Expect(s.call("POST", "/lockouts/user1", nil)).To(HaveField("Status", 201))
		Eventually(one.ended, limit).Should(BeClosed())
		Expect(s.call("DELETE", "/lockouts/user1", nil)).To(HaveField("Status", 200))
		_, err = s.tryLogin("user1", "word 1", sasl.ScramSha256Plus)
		Expect(err).NotTo(HaveOccurred())

		Expect(s.call("DELETE", "/users/user1", nil)).To(HaveField("Status", 200))
		_, err = s.tryLogin("user1", "word 1", sasl.ScramSha256Plus)
		Expect(err).To(HaveOccurred())
		Expect(s.call("GET", "/users/user1", nil)).To(HaveField("Status", 404))
	})

	It("speaks to everybody who is there, and to somebody who comes later", func() {
		two := s.login("user2", "word 2")
		Expect(s.call("POST", "/messages/users", map[string]any{"body": "back at nine"})).To(HaveField("Status", 201))
		two.hear("back at nine")
		Expect(s.call("POST", "/messages/users/user3", map[string]any{"body": "only for you"})).To(HaveField("Status", 201))
		Expect(s.call("GET", "/archive/messages/unread/user3@"+domain, nil)).To(HaveField("Body", `{"jid":"user3@`+domain+`","count":1}`))
		three := s.login("user3", "word 3")
		three.hear("only for you")
		Eventually(func() string { return s.call("GET", "/archive/messages/unread/user3@"+domain, nil).Body }, limit).Should(ContainSubstring(`"count":0`))
		Expect(s.call("GET", "/clustering/status", nil)).To(HaveField("Body", `{"status":"Disabled"}`))
	})

	It("tells who did what, by whichever way it came", func() {
		s.kubectl("patch", "chatuser", "user4", "--type=merge", `--patch={"spec":{"displayName":"Watched"}}`)
		Expect(s.call("POST", "/lockouts/user4", nil)).To(HaveField("Status", 201))
		type entry struct{ Username, Summary, Details string }
		Eventually(func(g Gomega) {
			var log struct{ Logs []entry }
			g.Expect(json.Unmarshal([]byte(s.call("GET", "/logs/security?limit=1000", nil).Body), &log)).To(Succeed())
			var about []string
			for _, e := range log.Logs {
				if strings.HasSuffix(e.Summary, " user4") {
					about = append(about, e.Username+": "+e.Summary)
				}
			}
			g.Expect(about).To(ConsistOf("rest-secret: locked out user user4", "kubectl-patch: edited user user4", "rest-secret: created new user user4"))
		}, limit).Should(Succeed())
	})

	It("refuses to change what a manifest declares, and says who declares it", func() {
		s.apply("apiVersion: chat-operator.io/v1alpha1\nkind: ChatUser\nmetadata: {name: declared}\nspec: {displayName: From Git}\n")
		s.kubectl("wait", "--for=condition=Ready", "--timeout=60s", "chatuser/declared")
		a := s.call("PUT", "/users/declared", map[string]any{"name": "From REST"})
		Expect(a).To(And(HaveField("Status", 409), HaveField("Body", ContainSubstring("kubectl"))))
		Expect(s.call("POST", "/users", user("declared", "a word"))).To(HaveField("Status", 409))
	})

	It("lets one of eight simultaneous calls win, whose password alone works", func() {
		const calls = 8
		secret := s.restSecret()
		answers := make([]answer, calls)
		var wg sync.WaitGroup
		begin := make(chan struct{})
		for i := range calls {
			wg.Add(1)
			go func() {
				defer GinkgoRecover()
				defer wg.Done()
				<-begin
				a, err := s.tryCall(secret, "POST", "/users", user("wanted", fmt.Sprintf("word of %d", i)))
				Expect(err).NotTo(HaveOccurred())
				answers[i] = a
			}()
		}
		close(begin)
		wg.Wait()
		var won []int
		for i, a := range answers {
			switch a.Status {
			case 201:
				won = append(won, i)
			default:
				Expect(a).To(HaveField("Status", 409))
			}
		}
		Expect(won).To(HaveLen(1), "answers: %v", answers)
		for i := range calls {
			_, err := s.tryLogin("wanted", fmt.Sprintf("word of %d", i), sasl.ScramSha256Plus)
			Expect(err == nil).To(Equal(i == won[0]), "the password of call %d: %v", i, err)
		}
		// The seven losers take their Secrets away again.
		Eventually(func(g Gomega) {
			secrets := &corev1.SecretList{}
			g.Expect(kube.List(context.Background(), secrets, client.InNamespace(s.namespace))).To(Succeed())
			var names []string
			for _, secret := range secrets.Items {
				if len(secret.Name) >= len("wanted") && secret.Name[:len("wanted")] == "wanted" {
					names = append(names, secret.Name)
				}
			}
			g.Expect(names).To(HaveLen(1))
		}, limit).Should(Succeed())
	})

	It("says 504 while the server does not see what was created, and lets it log in once it does", func() {
		s.proxy.hold()
		DeferCleanup(s.proxy.release)
		begin := time.Now()
		a := s.call("POST", "/users", user("late", "a word"))
		Expect(a).To(HaveField("Status", 504))
		Expect(time.Since(begin)).To(BeNumerically(">=", 4*time.Second))
		s.proxy.release()
		Eventually(func() error {
			_, err := s.tryLogin("late", "a word", sasl.ScramSha256Plus)
			return err
		}, limit).Should(Succeed())
		Expect(s.call("POST", "/users", user("late", "a word"))).To(HaveField("Status", 409))
	})

	It("answers a body that is neither JSON nor XML with an error entity", func() {
		a, err := s.tryCall(s.restSecret(), "POST", "/users", json.RawMessage(`"not a user"`))
		Expect(err).NotTo(HaveOccurred())
		Expect(a.Status).To(Equal(400))
		Expect(a.Body).To(ContainSubstring(`"exception"`))
	})
})

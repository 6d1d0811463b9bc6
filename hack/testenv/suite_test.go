package testenv_test

import (
	"os"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/chat-operator/chat-operator/hack/testenv"
)

func TestTestenv(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Test environment")
}

var env *testenv.Environment

var _ = BeforeSuite(func() {
	var err error
	env, err = testenv.Start(testenv.Options{AuditLog: true, ControllerManager: true})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() {
		Expect(env.Stop()).To(Succeed())
	})
})

// restoreVariable sets an environment variable for one test.
func restoreVariable(name, value string) {
	old, had := os.LookupEnv(name)
	Expect(os.Setenv(name, value)).To(Succeed())
	DeferCleanup(func() {
		if had {
			Expect(os.Setenv(name, old)).To(Succeed())
		} else {
			Expect(os.Unsetenv(name)).To(Succeed())
		}
	})
}

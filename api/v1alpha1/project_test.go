package v1alpha1_test

import (
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
)

var _ = Describe("PROJECT", func() {
	It("names the kinds of this package as the scheme and the definitions do", func() {
		text, err := os.ReadFile("../../PROJECT")
		Expect(err).NotTo(HaveOccurred())
		var project struct {
			Domain, Repo string
			Resources    []struct {
				API struct {
					CRDVersion string
					Namespaced bool
				}
				Domain, Group, Kind, Path, Version string
				Controller                         bool
			}
		}
		Expect(yaml.Unmarshal(text, &project)).To(Succeed())

		scheme := runtime.NewScheme()
		Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())
		var kinds, defined []string
		for _, r := range project.Resources {
			kinds = append(kinds, r.Kind)
			Expect(r.Group).To(BeEmpty(), "the group is the domain itself")
			Expect(r.Domain).To(Equal(v1alpha1.Group))
			Expect(r.Version).To(Equal(v1alpha1.GroupVersion.Version))
			Expect(r.API.CRDVersion).To(Equal("v1"))
			Expect(r.API.Namespaced).To(BeTrue())
			Expect(r.Controller).To(BeTrue())
			Expect(r.Path).To(Equal(project.Repo + "/api/v1alpha1"))
			Expect(scheme.Recognizes(v1alpha1.GroupVersion.WithKind(r.Kind))).To(BeTrue(), r.Kind)
		}
		for _, crd := range definitions() {
			defined = append(defined, crd.Spec.Names.Kind)
			Expect(crd.Spec.Group).To(Equal(project.Domain))
			Expect(crd.Spec.Scope).To(Equal(apiextensionsv1.NamespaceScoped))
		}
		Expect(kinds).To(ConsistOf(defined))
	})
})

var _ = Describe("config/crd", func() {
	It("lists every definition there is", func() {
		text, err := os.ReadFile(filepath.Join(configFolder, "crd", "kustomization.yaml"))
		Expect(err).NotTo(HaveOccurred())
		var kustomization struct{ Resources []string }
		Expect(yaml.Unmarshal(text, &kustomization)).To(Succeed())
		files, err := filepath.Glob(filepath.Join(crdFolder, "*.yaml"))
		Expect(err).NotTo(HaveOccurred())
		for i := range files {
			files[i] = "bases/" + filepath.Base(files[i])
		}
		Expect(kustomization.Resources).To(ConsistOf(files))
	})
})

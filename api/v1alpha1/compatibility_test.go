package v1alpha1_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	crdvalidation "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/model"
	"k8s.io/apimachinery/pkg/util/version"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	apiservercel "k8s.io/apiserver/pkg/cel"
	"k8s.io/apiserver/pkg/cel/environment"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
)

// The oldest Kubernetes cannot be started here, but its rules can be asked: the API server knows for every CEL function since when it
// may be used in a stored definition.
var _ = Describe("The oldest supported Kubernetes", func() {
	oldest := version.MustParse(v1alpha1.OldestKubernetes)

	It("compiles every rule, within its cost limit", func() {
		envs := environment.MustBaseEnvSet(oldest)
		rules := 0
		for _, crd := range definitions() {
			structural := structuralSchema(crd)
			var total uint64
			compileRules(structural, model.SchemaDeclType(structural, true), envs, 1, func(rule apiextensionsv1.ValidationRule, cost uint64) {
				rules++
				total += cost
				Expect(cost).To(BeNumerically("<=", crdvalidation.StaticEstimatedCostLimit), "%s: %s", crd.Name, rule.Rule)
			})
			Expect(total).To(BeNumerically("<=", crdvalidation.StaticEstimatedCRDCostLimit), crd.Name)
		}
		Expect(rules).To(BeNumerically(">=", 20), "a walk that finds no rules proves nothing")
	})

	It("would refuse what came later", func() {
		// The set of a release refuses functions of later ones: the IP library came with 1.31.
		structural := &schema.Structural{
			Generic:              schema.Generic{Type: "string"},
			ValidationExtensions: schema.ValidationExtensions{XValidations: apiextensionsv1.ValidationRules{{Rule: "isIP(self)"}}},
		}
		results, err := cel.Compile(structural, model.SchemaDeclType(structural, false), celconfig.PerCallLimit,
			environment.MustBaseEnvSet(oldest), cel.NewExpressionsEnvLoader())
		Expect(err).NotTo(HaveOccurred())
		Expect(results[0].Error).NotTo(BeNil())
	})

	It("knows every field that the definitions use", func() {
		for _, crd := range definitions() {
			for _, v := range crd.Spec.Versions {
				Expect(v.SelectableFields).To(BeEmpty(), "selectableFields came with 1.30")
			}
			walkSchema("", rootSchema(crd), func(path string, s *apiextensionsv1.JSONSchemaProps) {
				for _, rule := range s.XValidations {
					// messageExpression came with 1.27, reason and fieldPath with 1.28, all before CEL was stable in 1.29.
					if rule.OptionalOldSelf != nil {
						Expect(oldest.AtLeast(version.MajorMinor(1, 29))).To(BeTrue(), "%s %s: optionalOldSelf", crd.Name, path)
					}
				}
			})
		}
		Expect(oldest.AtLeast(version.MajorMinor(1, 29))).To(BeTrue(), "CEL validation is stable since 1.29")
	})
})

var _ = Describe("The current Kubernetes", func() {
	It("finds nothing wrong with the definitions, costs included", func(ctx context.Context) {
		for _, crd := range definitions() {
			internal := &apiextensions.CustomResourceDefinition{}
			apiextensionsv1.SetDefaults_CustomResourceDefinition(crd)
			apiextensionsv1.SetDefaults_CustomResourceDefinitionSpec(&crd.Spec)
			Expect(apiextensionsv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(crd, internal, nil)).To(Succeed())
			internal.Status.StoredVersions = []string{"v1alpha1"}
			Expect(crdvalidation.ValidateCustomResourceDefinition(ctx, internal)).To(BeEmpty(), crd.Name)
		}
	})
})

func structuralSchema(crd *apiextensionsv1.CustomResourceDefinition) *schema.Structural {
	GinkgoHelper()
	props := &apiextensions.JSONSchemaProps{}
	Expect(apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(rootSchema(crd), props, nil)).To(Succeed())
	structural, err := schema.NewStructural(props)
	Expect(err).NotTo(HaveOccurred())
	return structural
}

// compileRules compiles the rules of a schema and of everything in it; times is how often the schema can occur in one object.
func compileRules(s *schema.Structural, decl *apiservercel.DeclType, envs *environment.EnvSet, times uint64, visit func(rule apiextensionsv1.ValidationRule, cost uint64)) {
	GinkgoHelper()
	results, err := cel.Compile(s, decl, celconfig.PerCallLimit, envs, cel.NewExpressionsEnvLoader())
	Expect(err).NotTo(HaveOccurred())
	for i, result := range results {
		Expect(result.Error).To(BeNil(), "%s", s.XValidations[i].Rule)
		Expect(result.MessageExpressionError).To(BeNil(), "%s", s.XValidations[i].Rule)
		visit(s.XValidations[i], result.MaxCost*times)
	}
	for name := range s.Properties {
		property := s.Properties[name]
		if field, ok := decl.Fields[name]; ok {
			compileRules(&property, field.Type, envs, times, visit)
		}
	}
	if s.Items != nil {
		if s.ValueValidation != nil && s.ValueValidation.MaxItems != nil {
			times *= uint64(*s.ValueValidation.MaxItems)
		}
		compileRules(s.Items, decl.ElemType, envs, times, visit)
	}
}

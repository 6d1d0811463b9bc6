// Command chartschema writes charts/chat-operator/values.schema.json: values.schema.json beside this file, and what the values users,
// groups, rooms and properties may hold, which the custom resources say.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

func main() {
	source := flag.String("source", "hack/chartschema/values.schema.json", "the schema without the kinds")
	crds := flag.String("crds", "config/crd/bases", "folder of the custom resources")
	output := flag.String("output", "charts/chat-operator/values.schema.json", "the schema to write")
	flag.Parse()
	if err := run(*source, *crds, *output); err != nil {
		fmt.Fprintln(os.Stderr, "chartschema:", err)
		os.Exit(1)
	}
}

func run(source, crds, output string) error {
	content, err := os.ReadFile(source)
	if err != nil {
		return err
	}
	var schema map[string]any
	if err := json.Unmarshal(content, &schema); err != nil {
		return fmt.Errorf("%s: %w", source, err)
	}
	definitions, ok := schema["definitions"].(map[string]any)
	if !ok {
		return fmt.Errorf("%s has no definitions", source)
	}
	files, err := filepath.Glob(filepath.Join(crds, "*.yaml"))
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("%s has no custom resources", crds)
	}
	for _, file := range files {
		name, spec, err := specOf(file)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		definitions[name] = spec
	}
	content, err = json.MarshalIndent(schema, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(output, append(content, '\n'), 0o644)
}

// specOf reads the schema of a kind's spec.
func specOf(file string) (name string, spec map[string]any, err error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return "", nil, err
	}
	var crd apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(content, &crd); err != nil {
		return "", nil, err
	}
	if len(crd.Spec.Versions) != 1 {
		return "", nil, errors.New("the chart declares resources of one version, and the kind has several: say here which")
	}
	props, found := crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"]
	if !found {
		return "", nil, errors.New("the kind has no spec")
	}
	encoded, err := json.Marshal(props)
	if err != nil {
		return "", nil, err
	}
	if err := json.Unmarshal(encoded, &spec); err != nil {
		return "", nil, err
	}
	strict(spec)
	return crd.Spec.Names.Kind + "Spec", spec, nil
}

// strict turns an OpenAPI schema of Kubernetes into a JSON schema that takes no other field than those it names. Rules in CEL are left to
// the API server.
func strict(node any) {
	switch node := node.(type) {
	case []any:
		for _, n := range node {
			strict(n)
		}
	case map[string]any:
		properties, hasProperties := node["properties"].(map[string]any)
		for key := range node {
			if len(key) > 2 && key[:2] == "x-" || key == "format" {
				delete(node, key)
			}
		}
		for _, key := range []string{"items", "additionalProperties", "allOf", "anyOf", "oneOf", "not"} {
			strict(node[key])
		}
		for _, property := range properties {
			strict(property)
		}
		if _, said := node["additionalProperties"]; hasProperties && !said {
			node["additionalProperties"] = false
		}
	}
}

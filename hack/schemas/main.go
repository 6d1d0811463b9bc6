// Command schemas makes JSON schemas of what Kubernetes and the custom resources say of themselves:
//
//	schemas values   charts/chat-operator/values.schema.json: values.schema.json beside this file, and what the values users, groups, rooms
//	                 and properties may hold
//	schemas kinds    a folder with one schema a kind, by which kubeconform judges manifests without asking anybody
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
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "schemas:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return errors.New("say values or kinds")
	}
	flags := flag.NewFlagSet("schemas "+args[0], flag.ContinueOnError)
	crds := flags.String("crds", "config/crd/bases", "folder of the custom resources")
	switch args[0] {
	case "values":
		source := flags.String("source", "hack/schemas/values.schema.json", "the schema without the kinds")
		output := flags.String("output", "charts/chat-operator/values.schema.json", "the schema to write")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		return values(*source, *crds, *output)
	case "kinds":
		swagger := flags.String("swagger", "", "what Kubernetes says of its kinds: api/openapi-spec/swagger.json of its source")
		output := flags.String("output", "", "folder of the schemas to write")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		return kinds(*swagger, *crds, *output)
	}
	return fmt.Errorf("%q is neither values nor kinds", args[0])
}

// values writes the schema of the chart's values.
func values(source, crds, output string) error {
	var schema map[string]any
	if err := readJSON(source, &schema); err != nil {
		return err
	}
	definitions, ok := schema["definitions"].(map[string]any)
	if !ok {
		return fmt.Errorf("%s has no definitions", source)
	}
	list, err := readCRDs(crds)
	if err != nil {
		return err
	}
	for _, kind := range list {
		properties, _ := kind.schema["properties"].(map[string]any)
		if properties["spec"] == nil {
			return fmt.Errorf("%s has no spec", kind.Kind)
		}
		definitions[kind.Kind+"Spec"] = properties["spec"]
	}
	content, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(output, append(content, '\n'), 0o644)
}

func readJSON(name string, into any) error {
	content, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(content, into); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// customKind is a kind of ours, with a strict schema.
type customKind struct {
	groupVersionKind
	schema map[string]any
}

type groupVersionKind struct {
	Group, Version, Kind string
}

// readCRDs reads the schemas of all kinds in a folder.
func readCRDs(dir string) ([]customKind, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s has no custom resources", dir)
	}
	var list []customKind
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var crd apiextensionsv1.CustomResourceDefinition
		if err := yaml.UnmarshalStrict(content, &crd); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if len(crd.Spec.Versions) != 1 {
			return nil, fmt.Errorf("%s: the chart declares resources of one version, and the kind has several: say here which", file)
		}
		version := crd.Spec.Versions[0]
		encoded, err := json.Marshal(version.Schema.OpenAPIV3Schema)
		if err != nil {
			return nil, err
		}
		kind := customKind{groupVersionKind: groupVersionKind{Group: crd.Spec.Group, Version: version.Name, Kind: crd.Spec.Names.Kind}}
		if err := json.Unmarshal(encoded, &kind.schema); err != nil {
			return nil, err
		}
		strict(kind.schema)
		list = append(list, kind)
	}
	return list, nil
}

// strict turns an OpenAPI schema of Kubernetes into a JSON schema that takes no other field than those it names. Rules in CEL and formats are
// left to the API server.
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

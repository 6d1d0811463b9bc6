package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Definitions of Kubernetes that JSON has no one type for.
const (
	intOrString = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
	quantity    = "io.k8s.apimachinery.pkg.api.resource.Quantity"
	objectMeta  = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
)

// kinds writes a schema for each kind of Kubernetes and each of ours.
func kinds(swagger, crds, output string) error {
	if swagger == "" || output == "" {
		return errors.New("give --swagger and --output")
	}
	var document struct {
		Definitions map[string]map[string]any `json:"definitions"`
	}
	if err := readJSON(swagger, &document); err != nil {
		return err
	}
	of := map[groupVersionKind]string{}
	for name, schema := range document.Definitions {
		list, _ := schema["x-kubernetes-group-version-kind"].([]any)
		if len(list) == 1 { // what is shared by all groups, such as DeleteOptions, is no kind of a manifest
			encoded, err := json.Marshal(list[0])
			if err != nil {
				return err
			}
			var kind groupVersionKind
			if err := json.Unmarshal(encoded, &kind); err != nil {
				return err
			}
			of[kind] = name
		}
		strict(schema)
	}
	for name, types := range map[string][]string{intOrString: {"integer", "string"}, quantity: {"number", "string"}} {
		if document.Definitions[name] == nil {
			return fmt.Errorf("%s does not know %s", swagger, name)
		}
		document.Definitions[name] = map[string]any{"type": types}
	}
	if err := os.MkdirAll(output, 0o750); err != nil {
		return err
	}
	for kind, name := range of {
		if err := writeKind(output, kind, reference(name), document.Definitions); err != nil {
			return err
		}
	}
	own, err := readCRDs(crds)
	if err != nil {
		return err
	}
	for _, kind := range own {
		properties, _ := kind.schema["properties"].(map[string]any)
		properties["metadata"] = reference(objectMeta)
		if err := writeKind(output, kind.groupVersionKind, kind.schema, document.Definitions); err != nil {
			return err
		}
	}
	return nil
}

func reference(name string) map[string]any { return map[string]any{"$ref": "#/definitions/" + name} }

// writeKind writes a schema with the definitions that it needs, under the name that hack/manifests.sh tells kubeconform.
func writeKind(dir string, kind groupVersionKind, schema map[string]any, definitions map[string]map[string]any) error {
	used := map[string]any{}
	if err := collect(schema, definitions, used); err != nil {
		return fmt.Errorf("%s: %w", kind.Kind, err)
	}
	content, err := json.Marshal(map[string]any{
		"$schema": "http://json-schema.org/draft-07/schema#", "allOf": []any{schema}, "definitions": used,
		"required": []string{"apiVersion", "kind", "metadata"},
	})
	if err != nil {
		return err
	}
	group := kind.Group
	if group == "" {
		group = kind.Version // as kubeconform has it
	}
	return os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s_%s_%s.json", group, kind.Version, strings.ToLower(kind.Kind))), content, 0o600)
}

// collect adds to used what a schema refers to, and what that refers to.
func collect(node any, definitions map[string]map[string]any, used map[string]any) error {
	switch node := node.(type) {
	case []any:
		for _, n := range node {
			if err := collect(n, definitions, used); err != nil {
				return err
			}
		}
	case map[string]any:
		for key, value := range node {
			if text, isText := value.(string); isText && key == "$ref" {
				name := strings.TrimPrefix(text, "#/definitions/")
				if used[name] != nil {
					continue
				}
				if definitions[name] == nil {
					return fmt.Errorf("%s is defined nowhere", name)
				}
				used[name] = definitions[name]
				if err := collect(definitions[name], definitions, used); err != nil {
					return err
				}
				continue
			}
			if err := collect(value, definitions, used); err != nil {
				return err
			}
		}
	}
	return nil
}

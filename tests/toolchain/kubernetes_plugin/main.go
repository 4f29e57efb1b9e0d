// The official plugin for Kubernetes. Its own `main` is not in a Go module that can be had: it
// embeds the schema, which is made in its repository. Of that, the provider reads the inputs of each
// type, when it imports an object: they are what the API's own types have.
package main

import (
	"encoding/json"
	"strings"

	"github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/provider"
	"k8s.io/client-go/kubernetes/scheme"
)

var version string

func main() {
	resources := map[string]any{}
	for kind, object := range scheme.Scheme.AllKnownTypes() {
		group := kind.Group
		if group == "" {
			group = "core"
		}
		inputs := map[string]any{"apiVersion": text, "kind": text, "metadata": anything}
		for i := range object.NumField() {
			name, _, _ := strings.Cut(object.Field(i).Tag.Get("json"), ",")
			if name != "" && name != "status" {
				inputs[name] = anything
			}
		}
		token := "kubernetes:" + group + "/" + kind.Version + ":" + kind.Kind
		resources[token] = map[string]any{"inputProperties": inputs}
	}
	schema, err := json.Marshal(map[string]any{
		"name": "kubernetes", "version": version, "resources": resources,
	})
	if err != nil {
		panic(err)
	}
	provider.Serve("kubernetes", version, schema, []byte("{}"))
}

var (
	text     = map[string]any{"type": "string"}
	anything = map[string]any{"$ref": "pulumi.json#/Any"}
)

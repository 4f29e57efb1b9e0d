// The official plugin for Docker: Terraform's provider behind Pulumi's bridge, as in pulumi-docker.
// That is in no Go module that can be had, but what it is made of is. The types and names below are
// those of its resources.go; images are not built here.
//
// The module's path lies within the provider's, which Go asks of whoever imports its `internal`.
package main

import (
	"context"
	"encoding/json"
	"unicode"

	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	shimv2 "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim/sdk-v2"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	"github.com/terraform-providers/terraform-provider-docker/internal/provider"
)

var version string

func main() {
	schema, err := json.Marshal(map[string]any{"name": "docker", "version": version})
	if err != nil {
		panic(err)
	}
	tfbridge.Main("docker", version, info(), schema)
}

func info() tfbridge.ProviderInfo {
	upstream := provider.New("dev")()
	prov := tfbridge.ProviderInfo{
		P:       shimv2.NewProvider(upstream),
		Name:    "docker",
		Version: version,
		Config: map[string]*tfbridge.SchemaInfo{
			"host": {Default: &tfbridge.DefaultInfo{
				EnvVars: []string{"DOCKER_HOST"},
				ComputeDefault: func(context.Context, tfbridge.ComputeDefaultOptions) (any, error) {
					return "unix:///var/run/docker.sock", nil
				},
			}},
			"registry_auth": {Name: "registryAuth", MaxItemsOne: tfbridge.False()},
		},
		Resources: map[string]*tfbridge.ResourceInfo{
			"docker_config": {Tok: token("ServiceConfig")},
			"docker_container": {
				Tok:                 token("Container"),
				DeleteBeforeReplace: true,
				Fields: map[string]*tfbridge.SchemaInfo{
					"command":           {Name: "command"},
					"networks_advanced": {Name: "networksAdvanced"},
				},
			},
			"docker_image": {
				Tok:    token("RemoteImage"),
				Fields: map[string]*tfbridge.SchemaInfo{"name": {Name: "name"}},
			},
			"docker_network":        {Tok: token("Network")},
			"docker_secret":         {Tok: token("Secret")},
			"docker_service":        {Tok: token("Service")},
			"docker_volume":         {Tok: token("Volume")},
			"docker_registry_image": {Tok: token("RegistryImage")},
			"docker_plugin":         {Tok: token("Plugin")},
			"docker_tag":            {Tok: token("Tag")},
		},
	}
	prov.IgnoreMappings = rest(prov.Resources, upstream.ResourcesMap)
	for name := range upstream.DataSourcesMap {
		prov.IgnoreMappings = append(prov.IgnoreMappings, name)
	}
	prov.SetAutonaming(255, "-")
	return prov
}

func rest[Of, In any](known map[string]Of, all map[string]In) (names []string) {
	for name := range all {
		if _, ok := known[name]; !ok {
			names = append(names, name)
		}
	}
	return names
}

func token(name string) tokens.Type {
	file := string(unicode.ToLower(rune(name[0]))) + name[1:]
	return tokens.Type("docker:index/" + file + ":" + name)
}

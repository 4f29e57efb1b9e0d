// In place of Pulumi's SDK for Go, of which the plugin needs these few names. The whole of it is
// half a million lines, which take longer than all the rest.
module github.com/pulumi/pulumi-kubernetes/sdk/v4

go 1.25.0

require github.com/pulumi/pulumi/sdk/v3 v3.215.0

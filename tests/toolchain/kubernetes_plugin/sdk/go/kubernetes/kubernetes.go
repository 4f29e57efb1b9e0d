// Package kubernetes has what the plugin's components (charts, YAML files) pass on.
package kubernetes

import "reflect"

// UntypedArgs is an object of Kubernetes as a resource's inputs.
type UntypedArgs map[string]any

func (UntypedArgs) ElementType() reflect.Type {
	return reflect.TypeFor[map[string]any]()
}

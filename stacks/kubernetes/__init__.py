"""An application on Kubernetes: a namespace, its settings, the application and its ingress."""

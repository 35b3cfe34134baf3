// Pod Security of the newest Kubernetes that is supported, with the fixtures of all versions before it: only its source is read.
module tools

go 1.26.0

require k8s.io/pod-security-admission v0.37.2

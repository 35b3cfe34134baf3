// containerd makes its default seccomp profile in code; ../seccomp.ts prints it by this program.
module tools

go 1.26.6

require (
	github.com/containerd/containerd/v2 v2.4.2
	github.com/opencontainers/runtime-spec v1.3.0
)

require golang.org/x/sys v0.48.0 // indirect

// Prints containerd's default seccomp profile for a container that holds the given capabilities.
// tools/commands/seccomp.ts adds the code of containerd that computes it to this package, once for each architecture.
package main

import (
	"encoding/json"
	"log"
	"os"

	_ "github.com/containerd/containerd/v2/pkg/kernelversion" // which that code imports
	"github.com/opencontainers/runtime-spec/specs-go"
)

func main() {
	capabilities := &specs.LinuxCapabilities{Bounding: os.Args[1:]}
	profile := DefaultProfile(&specs.Spec{Process: &specs.Process{Capabilities: capabilities}})
	if err := json.NewEncoder(os.Stdout).Encode(profile); err != nil {
		log.Fatal(err)
	}
}

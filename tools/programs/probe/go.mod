// What a node's tests run inside of pods, built by ../probe.ts.
module probe

go 1.26.0

require golang.org/x/sys v0.43.0

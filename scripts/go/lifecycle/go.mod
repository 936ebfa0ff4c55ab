// The Cloud Native Buildpacks tools that the tests run, with every dependency pinned by go.sum.
module nachlass/lifecycle

go 1.26.6

require github.com/buildpacks/lifecycle v0.21.17

require github.com/containerd/stargz-snapshotter/estargz v0.19.1 // indirect

// Only the lifecycle's `extend` phase (image extensions, which nothing here uses) builds Dockerfiles.
replace github.com/osscontainertools/kaniko => ./no-kaniko

// From 0.21.9 on, layers are looked up by their digests, which layers of a previous image in docker's daemon don't have: where one
// of them has changed, all those above it are exported with the contents of the last.
replace github.com/google/go-containerregistry => github.com/google/go-containerregistry v0.21.5

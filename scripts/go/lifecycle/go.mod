// The Cloud Native Buildpacks tools that the tests run, with every dependency pinned by go.sum.
module nachlass/lifecycle

go 1.26.6

require github.com/buildpacks/lifecycle v0.21.17

// Only the lifecycle's `extend` phase (image extensions, which nothing here uses) builds Dockerfiles.
replace github.com/osscontainertools/kaniko => ./no-kaniko

// Package config declares the options that the lifecycle's extend phase fills in; nothing reads them.
package config

import "time"

// KanikoDir is where a Dockerfile builder would keep its state.
var KanikoDir = "/kaniko"

// RegistryOptions would say how to reach a registry.
type RegistryOptions struct{}

// CacheOptions would say how long a cached layer is good for.
type CacheOptions struct {
	CacheTTL time.Duration
}

// KanikoOptions would describe one Dockerfile build.
type KanikoOptions struct {
	BuildArgs         []string
	Cache             bool
	CacheCopyLayers   bool
	CacheOptions      CacheOptions
	CacheRepo         string
	CacheRunLayers    bool
	Cleanup           bool
	CustomPlatform    string
	DockerfilePath    string
	IgnorePaths       []string
	IgnoreVarRun      bool
	InitialFSUnpacked bool
	NoPush            bool
	Reproducible      bool
	SnapshotMode      string
	SrcContext        string
}

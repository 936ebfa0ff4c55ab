// Package image holds the hook that the lifecycle sets to find base images.
package image

import (
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/osscontainertools/kaniko/pkg/config"
)

// RetrieveRemoteImage is set by the extend phase and never called.
var RetrieveRemoteImage func(string, config.RegistryOptions, string) (v1.Image, error)

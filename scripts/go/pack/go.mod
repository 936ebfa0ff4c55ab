// pack, which builds images by buildpacks, with every dependency pinned by go.sum.
module nachlass/pack

go 1.26.6

require github.com/buildpacks/pack v0.40.6

// As pack's own go.mod has it.
replace github.com/BurntSushi/toml => github.com/BurntSushi/toml v1.3.2

"""The build side of the buildpack: what `bin/build` runs."""

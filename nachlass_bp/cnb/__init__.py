"""The files that the lifecycle reads and writes (buildpack specification, API 0.10)."""

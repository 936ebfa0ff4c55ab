"""The scoring service, and the build's proof that it will work."""

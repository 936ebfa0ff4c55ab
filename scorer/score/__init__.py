"""The `score` process: rows of a file or of a pipe in, the same out with predictions."""

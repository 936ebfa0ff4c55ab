"""What clients speak: each protocol reads a body into one `Batch` and writes the model's values as its answer."""

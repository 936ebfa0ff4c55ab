"""What the notebooks of this repository share."""

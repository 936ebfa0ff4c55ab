"""The command `nachlass`: a buildpack platform for one machine."""

"""What the service tells of each request: a line of its access log, a span of a distributed trace."""

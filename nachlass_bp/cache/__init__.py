"""Skipping a notebook only when nothing that it used has changed, and putting back everything that it wrote.

A notebook's static key says what it is; a trace says what one run of it depended on and what it left (`trace`). The
view answers what the working tree would hold (`view`), `compare` holds a trace against it, `store` keeps the bytes.
Source of the scheme: "Build systems à la carte" (constructive traces) and ccache's direct mode (key, then manifest).
"""

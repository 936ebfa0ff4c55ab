"""Notebooks as pages: a program of its own, started as `python -I -B <buildpack>/nachlass_bp/publishing SITE JOB OUT`.

SITE holds its packages (`locks/publish.txt`), JOB is what `nachlass_bp.shown` made, OUT the directory for the pages.
What a notebook holds is hostile here: whatever else a module does, `allowed.clean` is the last to touch it.
"""

"""Prediction, away from the event loop: what goes into a call, and the process that makes it."""

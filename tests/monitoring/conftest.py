from __future__ import annotations

from tests.scorer.conftest import new_image, scorer_layer, serve

__all__ = ["new_image", "scorer_layer", "serve"]

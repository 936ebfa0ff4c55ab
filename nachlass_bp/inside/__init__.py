"""What runs in the user's interpreter during a build: in a kernel it is reachable as `sys.modules["_nachlass_inside"]`.

The driver evaluates `describe_error()`, `end_trace()` and `collect_samples(path)` there by silent requests; all answer
JSON text.
"""

from .failure import describe_error
from .samples import collect_samples
from .tracer import end_trace

__all__ = ["collect_samples", "describe_error", "end_trace"]

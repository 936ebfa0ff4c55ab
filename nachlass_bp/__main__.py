"""What `bin/build` starts: `python -I -B <buildpack>/nachlass_bp`.

A directory that Python is told to run becomes the first entry of `sys.path`; its parent is the one to import from.
"""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from nachlass_bp.main import main  # noqa: E402 - the line above makes it importable

sys.exit(main())

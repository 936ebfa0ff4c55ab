"""What the build starts; see the package."""

import sys
from pathlib import Path

# A directory that Python is told to run becomes the first entry of `sys.path`; its grandparent is ours to import from.
sys.path[:1] = [sys.argv[1], str(Path(__file__).resolve().parent.parent.parent)]

from nachlass_bp.publishing.main import main  # noqa: E402 - the line above makes it importable

main(Path(sys.argv[2]), Path(sys.argv[3]))

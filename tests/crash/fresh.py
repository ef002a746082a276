"""`uvcall` in a new interpreter, with the crash test's hooks: it imports as it goes and leaves as it always does.

The environment's CRASH_ORDER holds what `hooks.prepare` is told; descriptor 3 is where the step is named.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
from pathlib import Path


def main() -> None:
    """Run uvcall on this process's arguments and exit."""
    # Beside the tests' own rooms, the checkout: it may not be installed.
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

    from crash.hooks import prepare

    from uvcall.__main__ import main as uvcall

    count = prepare(json.loads(os.environ.pop("CRASH_ORDER")), 3)
    atexit.register(lambda: os.write(3, str(count()).encode()))
    uvcall()


if __name__ == "__main__":
    main()

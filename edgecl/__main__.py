"""`python -m edgecl`: the same as `edgecl`, where the script is not on the path."""

import sys

from edgecl.cli.app import main

sys.exit(main())

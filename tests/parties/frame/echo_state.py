"""What a module holds from its import on."""

import os

imported_by = os.getpid()
counted = 0

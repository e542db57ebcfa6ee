"""The Chromium of this machine, for tests that look at the dashboard."""

from __future__ import annotations

import os
import shutil

#: None where there is none (Debian: apt-get install chromium).
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
#: Chromium's sandbox refuses to work for root.
ARGUMENTS = ["--no-sandbox"] if os.geteuid() == 0 else []

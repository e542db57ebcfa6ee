"""The main app's own clients, run by Node: its sources as they are, and npm's ConvexHttpClient.

The sources are read from the folder or git repository that NOVA_MAIN_APP names, else from a
snapshot beside this checkout; nothing of them is kept here.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from tests.npm import node_and_npm, packages_of

HERE = Path(__file__).parent
SOURCES = (
    "src/convex/sync.ts",
    "src/convex/bridge.ts",
    "src/convex/error-types.ts",
    "src/config/config.ts",
    "src/types/index.ts",
    "src/atlas/convex-client.ts",
    "convex/activity.ts",
    "convex/atlas.ts",
    "convex/dashboard.ts",
    "convex/realtime.ts",
)
#: What Convex's command line makes in a deployment.
GENERATED = {
    "convex/_generated/server.ts": b"""
export { mutationGeneric as mutation, queryGeneric as query } from "convex/server";
"""
}
SNAPSHOTS = HERE.parents[3].parent
_LIMIT = 240


class Clients:
    """Clients bundled in a folder of this session's own, with the packages that they need."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._node, _ = node_and_npm()
        self._packages = packages_of(HERE)
        self._app = main_app(folder / "main-app")

    @property
    def has_main_app(self) -> bool:
        return self._app is not None

    def run(self, driver: str, address: str, given: Any, **environment: str) -> tuple[Any, str]:
        """What the driver prints for what it is ``given``, and its standard error."""
        done = subprocess.run(
            [self._node, self._bundle(driver)],
            input=json.dumps(given),
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self._folder),
                "CONVEX_URL": address,
                **environment,
            },
            cwd=self._folder,
            capture_output=True,
            text=True,
            timeout=_LIMIT,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1]), done.stderr

    def _bundle(self, driver: str) -> Path:
        bundle = self._folder / f"{driver}.bundle.mjs"
        if not bundle.exists():
            esbuild = self._packages / "esbuild" / "bin" / "esbuild"
            options = [f"--outfile={bundle}", "--bundle", "--platform=node", "--format=esm"]
            if self._app is not None:
                options.append(f"--alias:main-app={self._app}")
            subprocess.run(
                [self._node, esbuild, HERE / f"{driver}.mjs", *options, "--log-level=warning"],
                env={"PATH": os.environ["PATH"], "NODE_PATH": str(self._packages)},
                cwd=self._folder,
                timeout=_LIMIT,
                check=True,
            )
        return bundle


def main_app(folder: Path) -> Path | None:
    """The main app's sources, read into ``folder``; None where they are not at hand."""
    named = os.environ.get("NOVA_MAIN_APP")
    places = [Path(named)] if named else sorted(SNAPSHOTS.glob(".mirror/*+nova26/repo"))
    for place in places:
        contents = {source: _read(place, source) for source in SOURCES}
        if all(content is not None for content in contents.values()):
            for source, content in {**contents, **GENERATED}.items():
                assert content is not None
                target = folder / source
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
            return folder
    return None


def _read(place: Path, source: str) -> bytes | None:
    if (place / source).exists():
        return (place / source).read_bytes()
    done = subprocess.run(
        ["git", "-C", place, "show", f"HEAD:{source}"], capture_output=True, check=False
    )
    return None if done.returncode else done.stdout

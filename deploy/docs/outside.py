"""A hook of mkdocs: links from docs/ to other files of the repository become their names."""

from __future__ import annotations

import re
from typing import Any

_OUTSIDE = re.compile(r"\[([^\]]+)\]\(\.\./([^)#]+)(?:#[^)]*)?\)")


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """The page's text; files in docs/ itself, as seen from a folder of it, stay links."""
    depth = page.file.src_uri.count("/")

    def name(link: re.Match[str]) -> str:
        if depth and not link[2].startswith("../"):
            return link[0]
        path = link[2].removeprefix("../")
        return f"`{path}`" if link[1].strip("`") in path else f"{link[1]} (`{path}`)"

    return _OUTSIDE.sub(name, markdown)

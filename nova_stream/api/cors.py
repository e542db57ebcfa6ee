"""Which pages of other origins may read the API (NOVA_API_CORS_ORIGINS)."""

from __future__ import annotations

from typing import Any

from starlette.middleware.cors import CORSMiddleware

from nova_stream.settings import Settings

ANY = "*"
#: Answers' headers that a page has a use for.
_SHOWN = ("ETag", "Location", "Retry-After", "WWW-Authenticate")
#: Seconds for which a browser need not ask again.
_MAX_AGE = 600


def cors_options(settings: Settings) -> dict[str, Any]:
    """What ``CORSMiddleware`` is to be given. Tokens go into a header, never into a cookie, so that
    no page gets a visitor's rights without asking: credentials are not allowed.
    """
    return {
        "allow_origins": settings.api_cors_origins,
        "allow_methods": ("GET", "HEAD", "POST"),
        "allow_headers": (ANY,),
        "allow_credentials": False,
        "expose_headers": _SHOWN,
        "max_age": _MAX_AGE,
    }


__all__ = ["ANY", "CORSMiddleware", "cors_options"]

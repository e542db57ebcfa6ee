"""Groups of commands: what they do alone, and what is said of a name that nothing has."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from typer.core import TyperGroup

_LIST, _SHOW = "list", "show"
#: How alike a name must be to be taken for another: one letter of four may be wrong.
_ALIKE = 0.7


class Group(TyperGroup):
    """A group whose name alone, with or without options, shows its list; without a list, its help.

    Both are an answer and no error, as ``nova-stream`` alone is.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Name the command where none is named; completion must see what was typed."""
        if not ctx.resilient_parsing:
            if _LIST in self.commands and _only_options(args, ctx.help_option_names):
                args = [_LIST, *args]
            elif not args:
                args = ["--help"]
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Tell whoever gives an id at once how to show it."""
        word = args[0]
        if not ctx.resilient_parsing and _SHOW in self.commands and not self._is_like_one(word):
            ctx.fail(f"No such command {word!r}. To show one: {ctx.command_path} {_SHOW} {word}")
        return super().resolve_command(ctx, args)

    def _is_like_one(self, word: str) -> bool:
        return word.startswith("-") or bool(_nearest(word, self.commands))


def _only_options(args: list[str], of_help: list[str]) -> bool:
    return not args or (args[0].startswith("-") and args[0] not in of_help)


def did_you_mean(name: str, known: Iterable[str], otherwise: str) -> str:
    """``did you mean 'MARS'?`` where one of ``known`` is close to ``name``, whatever the case of
    its letters; else ``otherwise``.
    """
    close = _nearest(name, known)
    return f"did you mean {close!r}?" if close else otherwise


def _nearest(name: str, known: Iterable[str]) -> str | None:
    import difflib

    by_letters = {each.casefold(): each for each in known}
    close = difflib.get_close_matches(name.casefold(), by_letters, n=1, cutoff=_ALIKE)
    return by_letters[close[0]] if close else None

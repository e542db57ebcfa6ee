"""The TypeScript client: its types are the API's, its tests pass against a whole stack, its package
has what its examples need. Node comes with the development packages; without npm's packages the
tests are skipped.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from nova_stream.api.app import create_app
from nova_stream.settings import Settings, load_settings
from tests.clients.workshop import CLIENT, Workshop

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
EXAMPLES = [
    (page, number, text)
    for page in (CLIENT / "README.md", ROOT / "docs" / "clients.md")
    for number, text in enumerate(
        re.findall(r"^```typescript\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    )
]


def environment(stack: Settings) -> dict[str, str]:
    assert stack.api_token is not None
    return {"NOVA_API_URL": stack.api_url, "NOVA_API_TOKEN": stack.api_token.get_secret_value()}


def test_its_types_are_those_of_the_api(workshop: Workshop) -> None:
    document = create_app(load_settings()).openapi()
    (workshop.folder / "openapi.json").write_text(json.dumps(document), encoding="utf-8")
    before = (CLIENT / "src" / "schema.ts").read_text(encoding="utf-8")
    workshop.run(*workshop.npm, "run", "types")
    made = (workshop.folder / "src" / "schema.ts").read_text(encoding="utf-8")
    assert made == before, "the API has changed: make client-types"


def test_its_tests_pass_against_a_stack(workshop: Workshop, nova_stack: Settings) -> None:
    said = workshop.run(*workshop.npm, "test", env=environment(nova_stack))
    assert "fail 0" in said, said
    assert re.search(r"pass [1-9]", said), said


def test_its_package_has_what_a_user_needs_and_nothing_else(user: Path) -> None:
    found = {path.name for path in (user / "node_modules" / "nova-stream").rglob("*")}
    modules = ("index", "client", "follow", "problem", "schema")
    built = {f"{name}{end}" for name in modules for end in (".js", ".d.ts")}
    assert found == built | {"dist", "package.json", "README.md", "LICENSE"}


def test_its_examples_run_as_pasted(workshop: Workshop, user: Path, nova_stack: Settings) -> None:
    assert len(EXAMPLES) >= 3
    files = []
    for page, number, text in EXAMPLES:
        file = user / f"{page.stem.lower()}-{number}.mts"
        file.write_text(text, encoding="utf-8")
        files.append(file.name)
    tsc = str(workshop.packages / "typescript" / "bin" / "tsc")
    checks = ["--strict", "--module", "nodenext", "--target", "es2022", "--types", "node"]
    workshop.run(workshop.node, tsc, *checks, *files, folder=user)
    for name in files:
        made = Path(name).with_suffix(".mjs").name
        workshop.run(workshop.node, made, folder=user, env=environment(nova_stack))


def test_what_is_pinned_names_no_server() -> None:
    lock = json.loads((CLIENT / "package-lock.json").read_text())
    packages = {name: found for name, found in lock["packages"].items() if name}
    assert packages
    for name, found in packages.items():
        assert "resolved" not in found, name
        assert found["integrity"].startswith("sha512-"), name

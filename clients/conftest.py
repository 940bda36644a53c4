"""Servers and clients that the tests share."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from servers import STORIES, Server, serving

# A template that says who speaks; the model is not trained to see it, which changes nothing of what is tested.
TEMPLATE = (
    "{% for message in messages %}{{ message.role | capitalize }}: {{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{% endif %}"
)


@pytest.fixture(scope="session")
def stories() -> Iterator[Server]:
    """The embedded model."""
    with serving() as server:
        yield server


@pytest.fixture(scope="session")
def chatty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The embedded model's file with a chat template written into it by gguf's own tool."""
    folder: Path = tmp_path_factory.mktemp("model")
    model = folder / "chatty.gguf"
    tool = Path(sys.executable).parent / "gguf-new-metadata"
    command = [tool, "--chat-template", TEMPLATE, STORIES, model]
    subprocess.run(command, check=True, capture_output=True)
    with serving("-m", str(model)) as server:
        yield server


def client_of(server: Server, **settings) -> openai.OpenAI:
    """OpenAI's client; it tries nothing twice, so that no fault is hidden."""
    return openai.OpenAI(base_url=server.api, api_key="any", max_retries=0, **settings)


@pytest.fixture(scope="session")
def client(stories: Server) -> openai.OpenAI:
    return client_of(stories)


@pytest.fixture(scope="session")
def chat_client(chatty: Server) -> openai.OpenAI:
    return client_of(chatty)

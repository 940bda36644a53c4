"""What the official `openai` client makes of refusals, of a stream that is left and of a time that is over."""

import openai
import pytest
from conftest import client_of
from servers import Server, serving

PROMPT = "Once upon a time"
# A text that goes on until the model's context is full.
ENDLESS = {"model": "any", "prompt": PROMPT, "max_tokens": -1, "temperature": 1.5, "extra_body": {"ignore_eos": True}}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"temperature": -1}, "temperature"),
        ({"n": 0}, "n"),
        ({"logprobs": 21}, "logprobs"),
        ({"suffix": "The end."}, "suffix"),
        ({"stop": ["x"] * 33}, "stop"),
        ({"extra_body": {"top_hh": 0.4}}, "top_hh"),
        ({"extra_body": {"sampler": "tmep=1"}}, "sampler"),
        ({"extra_body": {"decode": "beam(0)"}}, "decode"),
        ({"extra_body": {"vllm_xargs": {"nonsense": 1}}}, "nonsense"),
    ],
)
def test_bad_requests_name_the_field(client: openai.OpenAI, fields: dict, param: str) -> None:
    with pytest.raises(openai.BadRequestError) as refusal:
        client.completions.create(model="any", prompt=PROMPT, **fields)
    assert refusal.value.param == param and refusal.value.type == "invalid_request_error"


def test_too_long(client: openai.OpenAI, stories: Server) -> None:
    room = stories.get("/v1/models")["data"][0]["max_model_len"]
    with pytest.raises(openai.BadRequestError) as refusal:
        client.completions.create(model="any", prompt=[5] * (room + 1))
    assert refusal.value.code == "context_length_exceeded"


def test_chat_without_a_template(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="no chat template") as refusal:
        client.chat.completions.create(model="any", messages=[{"role": "user", "content": "Hi"}])
    assert refusal.value.param == "messages"


def test_what_is_not_there(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as refusal:
        client.models.retrieve("owner/other")
    assert (refusal.value.code, refusal.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.NotFoundError):
        client.embeddings.create(model="any", input="text")


def test_a_key() -> None:
    with serving("--api-key", "s3cret") as server:
        with pytest.raises(openai.AuthenticationError) as refusal:
            client_of(server).models.list()
        assert refusal.value.code == "invalid_api_key"
        openai.OpenAI(base_url=server.api, api_key="s3cret").models.list()


def test_a_full_queue() -> None:
    with serving("--max-waiting", "0") as server:
        with pytest.raises(openai.RateLimitError) as refusal:
            client_of(server).completions.create(model="any", prompt=PROMPT)
        assert refusal.value.code == "queue_full" and "retry-after" in refusal.value.response.headers


def test_a_stream_that_is_left(stories: Server) -> None:
    """The text is dropped, its cache with it, and the server goes on."""
    cancelled, held = stories.count("texts_cancelled_total"), stories.count("cached_positions")
    with client_of(stories) as client:
        stream = client.completions.create(**ENDLESS, stream=True)
        for _ in range(3):
            assert next(stream).choices
        stream.close()
    stories.until("texts_cancelled_total", cancelled + 1)
    stories.until("sequences_live", 0)
    assert stories.count("cached_positions") <= held + len(stories.tokens(PROMPT))


def test_a_time_that_is_over(stories: Server) -> None:
    cancelled = stories.count("texts_cancelled_total")
    with client_of(stories, timeout=0.15) as client, pytest.raises(openai.APITimeoutError):
        client.completions.create(**{**ENDLESS, "n": 16})
    stories.until("texts_cancelled_total", cancelled + 16)
    stories.until("sequences_live", 0)

"""Many requests at once by the asynchronous client: each gets what it gets alone."""

import asyncio

import openai
from servers import Server

OPENINGS = ["Once upon a time", "The dog", "One day, a girl named Lily", "In the forest"]


def request(place: int) -> dict:
    """Requests that differ in everything that a batch might mix up."""
    samplers = [{"temperature": 1.2}, {"extra_body": {"top_h": 0.4}}, {"temperature": 0}, {"top_p": 0.8}]
    return {
        "model": "any",
        "prompt": OPENINGS[place % 4],
        "seed": place,
        "max_tokens": 16 + 3 * place,
        "logprobs": 1,
        "presence_penalty": 0.1 * (place % 3),
        **samplers[place // 4],
    }


def told(completion: openai.types.Completion) -> dict:
    """All that does not name the answer itself."""
    return completion.model_dump(exclude={"id", "created"})


def test_sixteen_at_once(client: openai.OpenAI, stories: Server) -> None:
    requests = [request(place) for place in range(16)]
    alone = [told(client.completions.create(**fields)) for fields in requests]

    async def together() -> list[openai.types.Completion]:
        async with openai.AsyncOpenAI(base_url=stories.api, api_key="any", max_retries=0) as many:
            return await asyncio.gather(*(many.completions.create(**fields) for fields in requests))

    assert [told(completion) for completion in asyncio.run(together())] == alone

"""The official `openai` client asks /v1/completions."""

import math

import openai
import pytest
from servers import Server

PROMPT = "Once upon a time, there was a little"
OTHER = "The dog"


def texts(client: openai.OpenAI, **fields) -> list[str]:
    choices = client.completions.create(model="any", **{"max_tokens": 16, **fields}).choices
    assert [choice.index for choice in choices] == list(range(len(choices)))
    return [choice.text for choice in choices]


def test_models(client: openai.OpenAI, stories: Server) -> None:
    (model,) = client.models.list().data
    assert model.object == "model" and model.owned_by == "decant"
    assert client.models.retrieve(model.id) == model
    assert stories.get("/v1/models")["data"][0]["max_model_len"] > 0


def test_every_form_of_prompt(client: openai.OpenAI, stories: Server) -> None:
    ids = [stories.tokens(text) for text in (PROMPT, OTHER)]
    first, second = (texts(client, prompt=text, seed=3)[0] for text in (PROMPT, OTHER))
    assert texts(client, prompt=[PROMPT, OTHER], seed=3) == [first, second]
    assert texts(client, prompt=ids[0], seed=3) == [first]
    assert texts(client, prompt=ids[::-1], seed=3) == [second, first]
    assert texts(client, prompt=[PROMPT], seed=3) == [first]


def test_seeds(client: openai.OpenAI) -> None:
    drawn = [texts(client, prompt=PROMPT, seed=seed, temperature=1.2)[0] for seed in (5, 6, 7)]
    assert len(set(drawn)) == 3
    assert texts(client, prompt=PROMPT, seed=5, n=3, temperature=1.2) == drawn
    told = client.completions.create(model="any", prompt=PROMPT, max_tokens=16, temperature=1.2)
    seed = told.choices[0].decant["seed"]
    assert texts(client, prompt=PROMPT, seed=seed, temperature=1.2) == [told.choices[0].text]


def test_best_of(client: openai.OpenAI, stories: Server) -> None:
    fields = {"model": "any", "prompt": PROMPT, "max_tokens": 12, "seed": 1, "temperature": 1.2}
    choice = client.completions.create(**fields, best_of=4).choices[0]
    assert choice.decant["decode"].startswith("best_of(4")
    outcome = choice.decant["outcome"]
    candidates, best = outcome["candidates"], outcome["candidates"][outcome["chosen"]]
    assert len(candidates) == 4 and best["score"] == max(candidate["score"] for candidate in candidates)
    # Its first token begins with the space that a text of its own does not have.
    assert choice.text.strip() == stories.post("/detokenize", {"tokens": best["tokens"]})["prompt"].strip()


def test_echo_and_logprobs(client: openai.OpenAI, stories: Server) -> None:
    completion = client.completions.create(
        model="any", prompt=PROMPT, max_tokens=5, temperature=0, echo=True, logprobs=3
    )
    choice, logprobs = completion.choices[0], completion.choices[0].logprobs
    prompt = stories.tokens(PROMPT)
    assert choice.text.startswith(PROMPT)
    assert completion.usage.prompt_tokens == len(prompt)
    length = len(prompt) + completion.usage.completion_tokens
    for told in (logprobs.tokens, logprobs.token_logprobs, logprobs.top_logprobs, logprobs.text_offset):
        assert len(told) == length
    assert logprobs.token_logprobs[0] is None and logprobs.top_logprobs[0] is None
    for logprob, top in zip(logprobs.token_logprobs[1:], logprobs.top_logprobs[1:], strict=True):
        assert logprob in top.values() and 3 <= len(top) <= 4
        assert sum(math.exp(p) for p in top.values()) < 1 + 1e-9
    generated = logprobs.top_logprobs[len(prompt) :]
    assert [max(top, key=top.get) for top in generated] == logprobs.tokens[len(prompt) :]
    # Each token stands where its offset says; BOS has no text.
    for token, offset in zip(logprobs.tokens[1:], logprobs.text_offset[1:], strict=True):
        assert choice.text[offset:].startswith(token)


def test_stop_across_tokens(client: openai.OpenAI) -> None:
    whole = client.completions.create(model="any", prompt=PROMPT, max_tokens=24, temperature=0, logprobs=0)
    text, tokens = whole.choices[0].text, whole.choices[0].logprobs.tokens
    # From inside the fourth token to inside the sixth.
    begin, end = len("".join(tokens[:4])) - 1, len("".join(tokens[:5])) + 1
    stop = text[begin:end]
    for streamed in (False, True):
        answer = client.completions.create(
            model="any", prompt=PROMPT, max_tokens=24, temperature=0, stop=["nowhere", stop], stream=streamed
        )
        choices = [chunk.choices[0] for chunk in (answer if streamed else [answer])]
        assert "".join(choice.text for choice in choices) == text[: text.index(stop)]
        assert choices[-1].finish_reason == "stop"


def test_logit_bias(client: openai.OpenAI, stories: Server) -> None:
    (first,) = texts(client, prompt=PROMPT, temperature=0, max_tokens=1)
    (token,) = stories.post("/tokenize", {"prompt": first, "add_special_tokens": False})["tokens"]
    forbidden = texts(client, prompt=PROMPT, temperature=0, max_tokens=1, logit_bias={str(token): -100})
    assert forbidden != [first]
    assert texts(client, prompt=OTHER, temperature=0, max_tokens=1, logit_bias={str(token): 100}) == [first]


def test_a_stream_is_the_whole_answer(client: openai.OpenAI) -> None:
    fields = {"prompt": [PROMPT, OTHER], "n": 2, "seed": 9, "max_tokens": 20, "temperature": 1.1, "logprobs": 1}
    whole = client.completions.create(model="any", **fields)
    said, logprobs, reasons, usages = [""] * 4, [[] for _ in range(4)], [None] * 4, []
    options = {"include_usage": True}
    for chunk in client.completions.create(model="any", stream=True, stream_options=options, **fields):
        usages.append(chunk.usage)
        for choice in chunk.choices:
            said[choice.index] += choice.text
            logprobs[choice.index] += choice.logprobs.token_logprobs
            reasons[choice.index] = choice.finish_reason or reasons[choice.index]
    assert said == [choice.text for choice in whole.choices]
    assert logprobs == [choice.logprobs.token_logprobs for choice in whole.choices]
    assert reasons == [choice.finish_reason for choice in whole.choices]
    assert usages[-1] == whole.usage and set(usages[:-1]) == {None}


@pytest.mark.parametrize(
    ("extra", "sampler", "decode"),
    [
        ({"top_h": 0.4}, "top_h=0.4", "sample"),
        ({"sampler": "top_p=0.9,temp=1.5"}, "top_p=0.9,temp=1.5", "sample"),
        ({"sampler": [{"top_k": 5}, {"temp": 2}]}, "top_k=5,temp=2", "sample"),
        ({"vllm_xargs": {"min_p": 0.1}}, "min_p=0.1", "sample"),
        ({"decode": "beam(3)"}, "", "beam(3)"),
    ],
)
def test_extra_body(client: openai.OpenAI, extra: dict, sampler: str, decode: str) -> None:
    fields = {"model": "any", "prompt": PROMPT, "max_tokens": 8, "seed": 2}
    choice = client.completions.create(**fields, extra_body=extra).choices[0]
    told = choice.decant
    assert (told["sampler"], told["decode"], told["seed"]) == (sampler, decode, 2)
    for step in told["steps"]:
        assert step["entropy"] >= 0 and step["kept"] >= 1 and step["logprob"] <= 0
        assert step["sampled_logprob"] <= 1e-9 and 0 < step["kept_mass"] <= 1 + 1e-9
    again = {"sampler": told["sampler"], "decode": told["decode"]}
    assert client.completions.create(**fields, extra_body=again).choices[0].text == choice.text

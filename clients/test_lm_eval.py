"""lm-evaluation-harness, unchanged, measures the embedded model through the server; and the library says the same."""

import os
from pathlib import Path

os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}

import lm_eval
import numpy as np
import openai
import pytest
import yaml
from lm_eval.tasks import TaskManager
from servers import Server, decant

TASKS = Path(__file__).parent / "tasks"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `datasets` keeps of the local files goes where it is thrown away."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path)


def task(file: Path, **splits: str) -> dict:
    """A task of a file, on data of this folder."""
    files = {split: str(TASKS / data) for split, data in splits.items()}
    own = {"dataset_path": "json", "dataset_name": None, "dataset_kwargs": {"data_files": files}}
    return {**yaml.safe_load(file.read_text()), **own}


CHOICES = task(TASKS / "stories_choices.yaml", test="choices.jsonl")
OPENINGS = task(TASKS / "stories_openings.yaml", test="openings.jsonl")
# The harness's own, but for the questions.
GSM8K = task(Path(lm_eval.tasks.__file__).parent / "gsm8k/gsm8k.yaml", train="sums_train.jsonl", test="sums_test.jsonl")


def evaluate(model: str, url: str, of: dict, apply_chat_template: bool = False, **settings) -> dict:
    """The harness's results, with all samples."""
    arguments = {"model": "decant", "base_url": url, "max_length": 512, **settings}
    return lm_eval.simple_evaluate(
        model=model,
        model_args=arguments,
        tasks=[of],
        task_manager=TaskManager(include_defaults=False),
        bootstrap_iters=0,
        log_samples=True,
        apply_chat_template=apply_chat_template,
    )


def completions(server: Server, of: dict, **settings) -> dict:
    settings = {"tokenizer_backend": "remote", **settings}
    return evaluate("local-completions", f"{server.api}/completions", of, **settings)


def spelt(server: Server, text: str) -> list[int]:
    """Tokens as the harness sends them: without BOS."""
    return server.post("/tokenize", {"prompt": text, "add_special_tokens": False})["tokens"]


def logprobs(ids: list[int], file: Path) -> np.ndarray:
    """ln p of every token at every position, from the rows that the command line writes."""
    decant("logits", "--quiet", "--ids", ",".join(map(str, ids)), "-o", str(file))
    rows = np.load(file).astype(np.float64)
    rows -= rows.max(axis=1, keepdims=True)
    return rows - np.log(np.exp(rows).sum(axis=1, keepdims=True))


@pytest.mark.parametrize(
    "settings", [{"batch_size": 4, "tokenizer_backend": "auto"}, {"num_concurrent": 3, "batch_size": 2}]
)
def test_loglikelihoods_are_the_librarys(stories: Server, tmp_path: Path, settings: dict) -> None:
    results = completions(stories, CHOICES, **settings)
    samples = results["samples"]["stories_choices"]
    greedy = set()
    for sample in samples:
        for (context, continuation), ((told, is_greedy),) in zip(sample["arguments"], sample["resps"], strict=True):
            before, ids = (spelt(stories, text) for text in (context, context + continuation))
            tail = ids[len(before) :]
            rows = logprobs(ids, tmp_path / "rows.npy")[len(before) - 1 : -1]
            assert told == pytest.approx(rows[range(len(tail)), tail].sum(), abs=1e-6)
            assert is_greedy == bool((rows.argmax(axis=1) == tail).all())
            greedy.add(is_greedy)
    assert greedy == {True, False} and len(samples) == 24
    # The embedded model knows stories; by chance it would be a third.
    assert results["results"]["stories_choices"]["acc,none"] > 0.7


@pytest.mark.parametrize(
    "settings",
    [
        {"batch_size": 4, "tokenized_requests": True},
        {"num_concurrent": 4, "tokenized_requests": False},
        {"batch_size": 2, "num_concurrent": 2, "tokenized_requests": False},
    ],
)
def test_texts_are_the_servers_greedy_ones(stories: Server, client: openai.OpenAI, settings: dict) -> None:
    samples = completions(stories, OPENINGS, **settings)["samples"]["stories_openings"]
    assert len(samples) == 20
    for sample in samples:
        opening = sample["doc"]["opening"]
        prompt = spelt(stories, opening) if settings["tokenized_requests"] else opening
        alone = client.completions.create(model="any", prompt=prompt, max_tokens=24, temperature=0, stop=[".", "\n"])
        assert sample["resps"] == [[alone.choices[0].text]]
        assert "." not in alone.choices[0].text


def test_gsm8k_with_five_examples(stories: Server, client: openai.OpenAI) -> None:
    """The harness's own task, filters and stop strings; only the questions are ours. The model cannot add."""
    results = completions(stories, GSM8K, batch_size=3, max_gen_toks=64)  # the model's context has room for 512
    samples = results["samples"]["gsm8k"]
    assert {sample["filter"] for sample in samples} == {"strict-match", "flexible-extract"}
    assert results["n-shot"]["gsm8k"] == 5 and len(samples) == 12
    for sample in samples:
        (((question, settings),), ((text,),)) = sample["arguments"], sample["resps"]
        assert question.count("Question:") == 6
        fields = {"max_tokens": 64, "temperature": 0, "stop": settings["until"]}
        alone = client.completions.create(model="any", prompt=spelt(stories, question), **fields)
        assert text == alone.choices[0].text and "Question:" not in text
        (extracted,) = sample["filtered_resps"]
        assert extracted == "[invalid]" or extracted in text
    for name in ("strict-match", "flexible-extract"):
        assert 0 <= results["results"]["gsm8k"][f"exact_match,{name}"] <= 1


def test_chat(chatty: Server, chat_client: openai.OpenAI) -> None:
    url = f"{chatty.api}/chat/completions"
    results = evaluate("local-chat-completions", url, OPENINGS, apply_chat_template=True, num_concurrent=2)
    for sample in results["samples"]["stories_openings"]:
        messages = [{"role": "user", "content": sample["doc"]["opening"]}]
        fields = {"model": "any", "max_tokens": 24, "temperature": 0, "stop": [".", "\n"]}
        alone = chat_client.chat.completions.create(messages=messages, **fields)
        assert sample["resps"] == [[alone.choices[0].message.content]]

"""The official `openai` client asks /v1/chat/completions, on a model with a chat template."""

import openai
from servers import Server

MESSAGES = [
    {"role": "system", "content": "Tell stories."},
    {"role": "user", "content": "Tell me about a dog."},
]
# What the template of `conftest` makes of them.
RENDERED = "System: Tell stories.\nUser: Tell me about a dog.\nAssistant:"
FIELDS = {"model": "any", "messages": MESSAGES, "max_completion_tokens": 20, "seed": 4, "temperature": 0.9}


def test_a_message_is_what_its_template_goes_on_with(chat_client: openai.OpenAI, chatty: Server) -> None:
    answer = chat_client.chat.completions.create(**FIELDS)
    choice = answer.choices[0]
    prompt = chatty.post("/tokenize", {"prompt": RENDERED, "add_special_tokens": False})["tokens"]
    text = chat_client.completions.create(model="any", prompt=prompt, max_tokens=20, seed=4, temperature=0.9)
    assert (choice.message.role, choice.message.content) == ("assistant", text.choices[0].text)
    assert answer.usage == text.usage and answer.usage.prompt_tokens == len(prompt)
    assert choice.finish_reason in ("stop", "length")
    parts = [{**message, "content": [{"type": "text", "text": message["content"]}]} for message in MESSAGES]
    again = chat_client.chat.completions.create(**{**FIELDS, "messages": parts})
    assert again.choices[0].message == choice.message


def test_a_stream_is_the_whole_answer(chat_client: openai.OpenAI) -> None:
    fields = {**FIELDS, "n": 2, "logprobs": True, "top_logprobs": 2}
    whole = chat_client.chat.completions.create(**fields)
    said, logprobs, roles, usage = ["", ""], [[], []], [[], []], None
    options = {"include_usage": True}
    for chunk in chat_client.chat.completions.create(**fields, stream=True, stream_options=options):
        assert chunk.object == "chat.completion.chunk"
        usage = chunk.usage
        for choice in chunk.choices:
            said[choice.index] += choice.delta.content or ""
            logprobs[choice.index] += choice.logprobs.content
            roles[choice.index] += [choice.delta.role] if choice.delta.role else []
    assert said == [choice.message.content for choice in whole.choices]
    assert logprobs == [choice.logprobs.content for choice in whole.choices]
    assert roles == [["assistant"]] * 2 and usage == whole.usage


def test_the_clients_own_accumulator(chat_client: openai.OpenAI) -> None:
    # It takes a text that its length ended for a fault.
    fields = {**FIELDS, "max_completion_tokens": 200, "stop": ["."]}
    whole = chat_client.chat.completions.create(**fields)
    with chat_client.chat.completions.stream(**fields) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= kinds
    assert final.choices[0].message.content == whole.choices[0].message.content


def test_logprobs(chat_client: openai.OpenAI) -> None:
    answer = chat_client.chat.completions.create(**{**FIELDS, "temperature": 0}, logprobs=True, top_logprobs=3)
    content = answer.choices[0].logprobs.content
    assert len(content) == answer.usage.completion_tokens
    for token in content:
        assert bytes(token.bytes).decode() == token.token
        assert [top.logprob for top in token.top_logprobs] == sorted(
            (t.logprob for t in token.top_logprobs), reverse=True
        )
        assert token.top_logprobs[0].logprob == token.logprob and len(token.top_logprobs) == 3
    assert "".join(token.token for token in content) == answer.choices[0].message.content


def test_extra_body(chat_client: openai.OpenAI) -> None:
    for extra, sampler in [({"top_h": 0.4}, "temp=0.9,top_h=0.4"), ({"sampler": "top_k=2"}, "top_k=2")]:
        answer = chat_client.chat.completions.create(**FIELDS, extra_body=extra)
        assert answer.choices[0].decant["sampler"] == sampler

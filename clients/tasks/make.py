"""Writes the items of the local tasks: sentences of our own, in the manner of small children's stories."""

import json
from pathlib import Path

# A context, how a story goes on, and how none does.
CHOICES = [
    ("Once upon a time, there was a little girl named Lily. She loved to", " play", [" seven", " because"]),
    ("Tom had a red ball. He threw the ball to his", " friend", [" was", " yesterday"]),
    ("The cat was very hungry. It wanted to", " eat", [" blue", " under"]),
    ('Mom gave Ben a big hug and said, "I love', " you", [" to", " and"]),
    ("The little bird could not fly. It was very", " sad", [" the", " jumped"]),
    ("Anna and Max went to the", " park", [" and", " said"]),
    ("One day, a boy named Tim found a shiny", " rock", [" ran", " with"]),
    ("The dog wagged its", " tail", [" is", " very"]),
    ("It was a sunny day. The children played", " outside", [" was", " he"]),
    ("Lily was scared of the dark. Her dad turned on the", " light", [" said", " happy"]),
    ("The bunny hopped away because it was", " scared", [" of", " her"]),
    ("They shared the cake and everyone was", " happy", [" cake", " to"]),
    ("Sam fell and hurt his", " knee", [" was", " they"]),
    ("The fish lived in the", " water", [" can", " very"]),
    ("Mia wanted to make a", " cake", [" went", " and"]),
    ('The boy said, "Thank', " you", [" was", " the"]),
    ("At night, the stars were", " bright", [" dog", " she"]),
    ("She opened the box and saw a", " toy", [" they", " is"]),
    ("The bear was big and", " strong", [" was", " to"]),
    ("He climbed up the", " tree", [" happy", " was"]),
    ("The girl put on her", " hat", [" said", " was"]),
    ("They ran home because it started to", " rain", [" the", " very"]),
    ("The frog jumped into the", " pond", [" was", " happy"]),
    ("In the end, they all lived happily ever", " after", [" dog", " was"]),
]

OPENINGS = [
    "Once upon a time, there was a little",
    "The dog ran to the",
    "One day, Lily and Tom went to the",
    "There was a big tree in the",
    "Ben was sad because",
    "The cat saw a small",
    'Mom said, "It is time to',
    "A bird sat on the",
    "The sun was warm and the",
    "Sara had a new toy. She",
    "In the forest lived a",
    "The king had a shiny",
    "Max found a box. Inside the box was a",
    "It was raining, so the children",
    "The little mouse wanted some",
    "Dad made a cake for",
    "The moon was bright and",
    "Two friends played with a",
    "The old man had a",
    "A girl named Amy liked to",
]

NAMES = ["Ann", "Ben", "Cat", "Dan", "Eva", "Fay", "Gus", "Hal"]
THINGS = ["apples", "balls", "cakes", "dolls"]


def sums(first: int, count: int) -> list[dict]:
    """Sums in the shape of GSM8K's items."""
    items = []
    for number in range(first, first + count):
        name, thing, has, gets = NAMES[number % 8], THINGS[number % 4], 2 + number % 7, 1 + number % 5
        question = f"{name} has {has} {thing} and gets {gets} more. How many {thing} does {name} have?"
        items.append({"question": question, "answer": f"{has} + {gets} = {has + gets}.\n#### {has + gets}"})
    return items


def choices() -> list[dict]:
    items = []
    for number, (context, right, wrong) in enumerate(CHOICES):
        answer = number % 3
        items.append({"context": context, "choices": [*wrong[:answer], right, *wrong[answer:]], "answer": answer})
    return items


def write(name: str, items: list[dict]) -> None:
    lines = [json.dumps(item, ensure_ascii=False) + "\n" for item in items]
    (Path(__file__).parent / name).write_text("".join(lines))


if __name__ == "__main__":
    write("choices.jsonl", choices())
    write("openings.jsonl", [{"opening": opening} for opening in OPENINGS])
    write("sums_train.jsonl", sums(0, 8))
    write("sums_test.jsonl", sums(11, 6))

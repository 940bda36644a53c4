"""Turn raw story texts into a tokenizer and token files.

    python prepare.py --data DATA --out OUT

DATA holds tinystories/, fairytaleqa/, gutenberg/ and novels/ (see README.md).
OUT receives tokenizer.json and, per source, NAME.npy (uint16 tokens, each text
preceded by <|endoftext|>) and NAME.starts.npy (where each text begins).
"""
import argparse
import random
import re
import tomllib
import unicodedata
from collections import Counter
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

EOT = "<|endoftext|>"
HERE = Path(__file__).parent

CHILDREN = [  # simple enough for the final, TinyStories-heavy part of training
    "gutenberg/bryant-stories.txt", "gutenberg/burgess-busterbrown.txt",
    "gutenberg/carroll-alice.txt", "gutenberg/edgeworth-parents.txt",
    "novels/Burnett_Garden_1911.txt", "novels/Burnett_Lord_1886.txt",
    "novels/Burnett_Princess_1905.txt", "novels/Ward_Milly_1881.txt",
]
HELD_TINY_BYTES = 200_000   # tail of the TinyStories validation prefix, never trained on
HELD_FAIRY_TALES = 8        # last tales of the FairytaleQA validation file, never trained on

# ---------------------------------------------------------------- characters

MOJIBAKE = {"â€œ": '"', "â€\x9d": '"', "â€™": "'", "â€˜": "'", "â€”": " - ", "â€“": " - ",
            "â€¦": "...", "â€": '"'}
PLAIN = str.maketrans({"“": '"', "”": '"', "‘": "'", "’": "'", "—": " - ", "–": " - ",
                       "…": "...", "«": '"', "»": '"', "\ufeff": "", "\r": "", "_": "", "\t": " "})


def plain(text):
    """ASCII with straight quotes and one kind of dash; accents are dropped."""
    for bad, good in MOJIBAKE.items():
        text = text.replace(bad, good)
    text = text.translate(PLAIN).replace("``", '"').replace("''", '"')
    text = re.sub(r" *-{2,} *", " - ", text)
    text = unicodedata.normalize("NFKD", text)
    return "".join(c for c in text if c == "\n" or " " <= c <= "~")


def tidy(paragraph):
    """One paragraph on one line, without stray spaces."""
    p = re.sub(r"\s+", " ", paragraph).strip()
    p = re.sub(r" +([,.;:!?])", r"\1", p)
    return re.sub(r"([,.!?]) - (?=\")", r"\1", p)   # printed habit: "said he,--" before a quotation


def join(paragraphs):
    return "\n".join(p for p in map(tidy, paragraphs) if p)


# ---------------------------------------------------------------- TinyStories

OPENING = re.compile(r"(Once (upon|there|,)|Once, |There once |Long ago|There was once|"
                     r"[A-Z]\w+ and [A-Z]\w+ (are|were|liked?|loved?) (to|friends|twins|brother|best|good|playing) )")
NAME = re.compile(r"\b[A-Z][a-z]{2,}\b")
NOT_NAMES = set("The She They When But And Then One His Her Once After Suddenly Later From You What Yes "
                "There That This Mom Dad Mommy Daddy Mum Now Let Please Thank Finally Inside Just Its "
                "Can Are Look How Why Where Who Every Everyone All Soon Next Not Hey Hello Wow Sorry "
                "Don Okay Sure Time For With Even Instead Here Maybe Some Two Both Each "
                "Her Mama Papa Mummy Grandma Grandpa Oh Well Come Did Will".split())


def names(text):
    return {n for n in NAME.findall(text)} - NOT_NAMES


def split_blank_lines(text):
    """Stories of a file where blank lines part paragraphs and stories alike.

    A story starts at a stock opening, or at a paragraph that begins with a name (or "One day")
    while sharing no name with what came before.
    """
    stories, now = [], []
    for p in re.split(r"\n\s*\n", text):
        p = p.strip()
        if not p:
            continue
        fresh = OPENING.match(p)
        if not fresh and now:
            before = "\n".join(now)
            first = p.split()[0].strip(",.'\"")
            leads = first in names(p) or re.match(r"One (day|morning|night|sunny)", p)
            fresh = leads and names(p) and len(before) > 400 and not names(p) & names(before)
        if fresh and now:
            stories.append(join(now))
            now = []
        now += p.split("\n")
    return stories + [join(now)]


def complete(story):
    """Not cut off, and not several stories that the splitter left together."""
    return 120 < len(story) < 3500 and story[-1] in '.!?"' and re.match(r'["A-Z]', story)


GIRLS = ("Lily Anna Sara Mia Lucy Lila Molly Jane Mary Sue Amy Daisy Emma Sarah Ella Lisa Jenny Emily Sally "
         "Kate Sophie Bella Rosie Zoe Nina Maya Jill Mandy Annie Susie").split()
BOYS = ("Tom Ben Tim Timmy John Sam Max Jack Tommy Jimmy Bob Joe Jim Mark Billy Peter Fred Leo Jake Johnny "
        "Mike Danny Adam Alex Dan Bobby Josh Jason Charlie Teddy").split()


def rename(story, rng, weight):
    """The same story about other children: each known name becomes another of its kind."""
    present = set(NAME.findall(story))
    swap = {}
    for kind in (GIRLS, BOYS):
        free = [n for n in kind if n not in present]
        for n in [n for n in kind if n in present]:
            new = rng.choices(free, [weight[f] for f in free])[0]
            free.remove(new)
            swap[n] = new
    return NAME.sub(lambda m: swap.get(m.group(), m.group()), story)


# ---------------------------------------------------------------- books

HEADING = re.compile(r"(chapter\b.*|book\b.{0,40}|part\b.{0,30}|volume\b.{0,20}|[ivxlc]+\.?|\d+\.?)$", re.I)


def unwrap(lines):
    """Paragraphs of hard-wrapped lines without blank ones between: a short line ends one."""
    width, now = max(map(len, lines)), []
    for line in lines:
        now.append(line)
        if len(line) < 0.85 * width and re.search(r"[.!?\"']$", line.strip()):
            yield " ".join(now)
            now = []
    if now:
        yield " ".join(now)


def paragraphs(text):
    """Paragraphs of a book, whether its lines are hard-wrapped or not."""
    text = re.sub(r"\[[^\]]*\]", " ", text)          # [Illustration: ...], [Emma by Jane Austen 1816]
    for block in re.split(r"\n\s*\n", text):
        lines = [l for l in block.split("\n") if l.strip()]
        if not lines:
            continue
        if len(lines) > 1 and sum(l.startswith("    ") for l in lines) > len(lines) / 2:
            continue                                  # verse and tables
        if max(map(len, lines)) > 120:                # one paragraph a line
            yield from lines
        elif len(lines) < 60:                         # the usual hard-wrapped paragraph
            yield " ".join(lines)
        else:
            yield from unwrap(lines)


def is_heading(p):
    letters = [c for c in p if c.isalpha()]
    return len(p) < 90 and (HEADING.match(p) or not letters or all(c.isupper() for c in letters))


def double_quotes(text):
    """Alice speaks in 'single' quotes; every other text here in double ones."""
    text = re.sub(r"(^|[\s(-])'(?=\S)", r'\1"', text, flags=re.M)
    return re.sub(r"(?<=[,.!?;:-])'(?=[\s)]|$)", '"', text, flags=re.M)


def chapters(path):
    text = plain(path.read_text("utf-8"))
    if path.name.startswith("carroll"):
        text = double_quotes(text)
    docs, now = [], []
    for p in map(tidy, paragraphs(text)):
        if is_heading(p):
            docs.append(now)
            now = []
        elif p and p[-1] in '.!?"\':;,-)' and len(p) > 2:   # other unpunctuated lines are titles, contents
            now.append(p)
    docs.append(now)
    return [join(d) for d in docs if len(d) >= 3 and sum(map(len, d)) > 400]


# ---------------------------------------------------------------- sources

def load(data):
    tiny = [join(s.split("\n")) for s in plain((data / "tinystories/train_prefix_2MiB.txt").read_text("utf-8")).split(EOT)]
    valid = split_blank_lines(plain((data / "tinystories/valid_prefix_794KB.txt").read_text("utf-8")))
    held, size = [], 0
    while size < HELD_TINY_BYTES:
        held.insert(0, valid.pop())
        size += len(held[0])
    tiny = [s for s in dict.fromkeys(tiny + valid) if complete(s)]
    # Several files of TinyStories retell one prompt; a story that shares its first 150 characters is not held out.
    seen = {s[:150] for s in tiny}
    held = [s for s in dict.fromkeys(held) if complete(s) and s[:150] not in seen]

    tales = {}
    for part in ("train", "val"):
        raw = plain((data / f"fairytaleqa/stories_{part}.txt").read_text("utf-8")).split(EOT)
        lines = [[l for l in t.split("\n") if l.strip()] for t in raw]
        wrapped = [len(t) > 10 and max(map(len, t)) < 100 for t in lines]
        tales[part] = [join(unwrap(t) if w else t) for t, w in zip(lines, wrapped) if sum(map(len, t)) > 300]
    fairy, held_fairy = tales["train"] + tales["val"][:-HELD_FAIRY_TALES], tales["val"][-HELD_FAIRY_TALES:]

    books = sorted(p for d in ("gutenberg", "novels") for p in (data / d).glob("*.txt"))
    child = [c for p in books if f"{p.parent.name}/{p.name}" in CHILDREN for c in chapters(p)]
    novel = [c for p in books if f"{p.parent.name}/{p.name}" not in CHILDREN for c in chapters(p)]
    return {"tiny": tiny, "fairy": fairy, "children": child, "novels": novel,
            "held_tiny": held, "held_fairy": held_fairy}


def train_tokenizer(texts, size):
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)   # GPT-2's regex
    tok.decoder = decoders.ByteLevel()
    tok.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=size, special_tokens=[EOT], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    assert tok.get_vocab_size() == size and tok.token_to_id(EOT) == 0
    return tok


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--data", type=Path, required=True)
    args.add_argument("--out", type=Path, required=True)
    args = args.parse_args()
    config = tomllib.loads((HERE / "config.toml").read_text())
    args.out.mkdir(parents=True, exist_ok=True)

    sources = load(args.data)
    # Novels are left out of the tokenizer's training: its 4096 entries should serve simple stories.
    tok = train_tokenizer(sources["tiny"] + sources["fairy"] + sources["children"], config["model"]["vocab_size"])
    tok.save(str(args.out / "tokenizer.json"))

    rng = random.Random(config["data"]["seed"])
    count = Counter(n for s in sources["tiny"] for n in set(NAME.findall(s)))
    weight = {n: (count[n] + 1) ** 0.5 for n in GIRLS + BOYS}
    plain_tiny = sources["tiny"]
    sources["tiny"] = plain_tiny + [rename(s, rng, weight)
                                    for _ in range(config["data"]["name_variants"] - 1) for s in plain_tiny]

    for name, docs in sources.items():
        ids = [[0] + e.ids for e in tok.encode_batch(docs)]
        lengths = np.array([len(i) for i in ids])
        np.save(args.out / f"{name}.npy", np.concatenate([np.array(i, dtype=np.uint16) for i in ids]))
        np.save(args.out / f"{name}.starts.npy", np.concatenate([[0], lengths.cumsum()[:-1]]))
        chars = sum(len(d) for d in docs)
        (args.out / f"{name}.bytes").write_text(str(chars))      # for bits per byte
        print(f"{name:11s} {len(docs):6d} texts {chars:9d} bytes {lengths.sum():9d} tokens {chars / lengths.sum():.2f} bytes/token")


if __name__ == "__main__":
    main()

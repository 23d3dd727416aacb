"""What the lab's language model says, and what its gateway makes of a text: deterministic, and made of nothing but the prompt. Pure.

The model is no model. It says a few sentences of English that its prompt decides, calls the one tool that it knows, fills in one
schema, and turns words into vectors, so that everything that can go wrong with a language model's answers can be seen to go wrong.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from hashlib import blake2b

SUBJECTS = (
    "solar panels", "old bridges", "sourdough bread", "city trees", "night trains", "chess openings", "wool carpets", "tidal power",
    "stone walls", "street maps", "water pumps", "bird migration", "violin strings", "ship canals", "paper mills", "wind farms",
    "honey bees", "roof tiles", "river floods", "green tea", "snow tyres", "brick kilns", "tax returns", "apple orchards",
)  # fmt: skip
"""What people ask about."""
_OPENINGS = (
    "There is a lot to say about {}, and most of it is simple.",
    "The first thing to know about {} is how they came to be what they are.",
    "In short, {} are easy to understand once you have seen them at work.",
    "It helps to think of {} as the result of many small choices.",
)
_SENTENCES = (
    "Most of the effort goes into the details that nobody sees.",
    "A good plan is worth more than a good tool in this case.",
    "It is the weather that decides how long it will take.",
    "People often forget that the costs come back every year.",
    "You can learn the rest of it from those who do it every day.",
    "What matters in the end is that the parts fit together.",
    "The old way of doing it is still the one to be trusted.",
    "There are two schools, and both of them have a point.",
    "If in doubt, ask for a second opinion before you begin.",
    "This has changed in the last ten years, and for the better.",
    "The best time to look at it is early in the morning.",
    "None of this is hard, but all of it has to be done.",
)
FEELINGS = ("positive", "neutral", "negative")
TOOL = "look_up"
DIMENSIONS = 128
_TOKEN = re.compile(r" ?\S{1,6}|\s")
_WORD = re.compile(r"[^\W\d_]+")
_COMMON = frozenset(
    re.findall(
        r"\w+",
        "a about and are as at be before but by can do every for from has have how if in is it its last more most none not of often on "
        "one or rest still than that the them there they this those to two was way what who with you",
    )
)
"""Words that any English text is full of."""
_CONSONANTS = re.compile(r"[bcdfghjklmnpqrstvwxz]{4}")
_SORRY = re.compile(r"(?i)\b(i'm sorry|i am sorry|i can(?:no|')t help|as an ai|unable to (?:help|assist))")
SHORTEST_JUDGED = 60
"""Characters from which on the language of a text, and whether it is one, can be told."""


def _drawn(prompt: str, what: str) -> int:
    return int.from_bytes(blake2b(f"{what}\x1f{prompt}".encode(), digest_size=8).digest(), "big")


def _subject(prompt: str) -> str:
    return next((subject for subject in SUBJECTS if subject in prompt), "such things")


# --- what the model says ----------------------------------------------------------------------------------------------


def answered(prompt: str) -> str:
    """Two sentences of English, the same for the same prompt."""
    opening = _OPENINGS[_drawn(prompt, "opening") % len(_OPENINGS)].format(_subject(prompt))
    return f"{opening} {_SENTENCES[_drawn(prompt, 'sentence') % len(_SENTENCES)]}"


def rated(prompt: str) -> str:
    """The JSON object that the model answers in JSON mode: subject, feeling, and a confidence in [0, 1]."""
    feeling = FEELINGS[_drawn(prompt, "feeling") % len(FEELINGS)]
    confidence = 0.5 + _drawn(prompt, "confidence") % 500 / 1000
    return json.dumps({"subject": _subject(prompt), "feeling": feeling, "confidence": confidence})


def called(prompt: str) -> str:
    """The arguments with which the model calls TOOL."""
    return json.dumps({"subject": _subject(prompt), "depth": 1 + _drawn(prompt, "depth") % 3})


def embedded(text: str) -> list[float]:
    """DIMENSIONS numbers of length one: texts that share words and beginnings of words point the same way."""
    vector = [0.0] * DIMENSIONS
    for word in _WORD.findall(text.lower()):
        for part in (word, word[:4]):
            drawn = _drawn(part, "embedding")
            vector[drawn % DIMENSIONS] += 1.0 if drawn >> 32 & 1 else -1.0
    length = math.hypot(*vector) or 1.0
    return [round(value / length, 6) for value in vector]


def tokens(text: str) -> list[str]:
    """The text in pieces of a few characters; joined, they are the text."""
    return _TOKEN.findall(text)


# --- what a gateway makes of it ---------------------------------------------------------------------------------------


def judged(text: str) -> Mapping[str, bool]:
    """Which checks of a text it passes; checks that need more text than there is are left out."""
    found = {"refusal": _SORRY.search(text) is None}
    if len(text) >= SHORTEST_JUDGED:
        words = [word.lower() for word in _WORD.findall(text)]
        found["language"] = sum(word in _COMMON for word in words) >= 0.2 * max(1, len(words))
        found["garbage"] = sum(_CONSONANTS.search(word) is not None for word in words) <= 0.12 * len(words)
        threes = list(zip(words, words[1:], words[2:], strict=False))
        found["repetition"] = len(set(threes)) >= 0.8 * len(threes)
    return found


def valid_rating(text: str) -> bool:
    """Whether the text is the object that was asked for, and nothing else."""
    try:
        said = json.loads(text)
    except ValueError:
        return False
    return (
        isinstance(said, dict)
        and isinstance(said.get("subject"), str)
        and said.get("feeling") in FEELINGS
        and isinstance(said.get("confidence"), float)
        and 0 <= said["confidence"] <= 1
    )


def valid_call(name: object, arguments: object) -> bool:
    """Whether somebody has such a tool, and can do something with these arguments."""
    try:
        said = json.loads(arguments) if isinstance(arguments, str) else None
    except ValueError:
        return False
    return name == TOOL and isinstance(said, dict) and isinstance(said.get("subject"), str)


def cosine(one: list[float], other: list[float]) -> float:
    """How much two vectors point the same way, from -1 to 1; 0 when one has no length, or not the other's size."""
    lengths = math.hypot(*one) * math.hypot(*other)
    return sum(a * b for a, b in zip(one, other, strict=True)) / lengths if lengths and len(one) == len(other) else 0.0


# --- what people ask --------------------------------------------------------------------------------------------------

_QUESTIONS = (
    "What should people know about {}?",
    "How would you explain {} to a friend?",
    "Why do some people care about {}?",
)
_KINDS = ("question",) * 6 + ("rating", "rating", "tool", "neighbours")


def prompts() -> Iterator[Mapping[str, str]]:
    """The traffic: six questions to two ratings, one call of a tool and one pair of neighbours; `kind` is what must come back."""
    for place, subject in enumerate(SUBJECTS * len(_KINDS)):
        kind = _KINDS[place // len(SUBJECTS)]
        question = _QUESTIONS[place % len(_QUESTIONS)].format(subject)
        yield {"kind": kind, "prompt": question, "neighbour": f"Please tell me. {question}"}

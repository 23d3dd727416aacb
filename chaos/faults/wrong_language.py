"""wrong_language: the language model answers in another language than it was asked in.

In real life: a multilingual model after fine-tuning on one market, a system prompt lost in a template, a cheaper model that drifts
into the language of most of its training text. Nothing that counts requests or tokens can tell.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from chaos.faults.base import Call, Example
from chaos.faults.texts import TextFault
from chaos.units import format_share

SENTENCES = {
    "german": (
        "Das lässt sich leider nicht mit einem Satz erklären. ", "Zunächst sollte man die wichtigsten Begriffe kennen. ",
        "Danach ist der Rest nur noch eine Frage der Übung. ", "Wer es eilig hat, liest am besten die Zusammenfassung. ",
    ),
    "french": (
        "Cela ne peut malheureusement pas être expliqué en une phrase. ", "Il faut d'abord connaître les notions les plus importantes. ",
        "Ensuite, le reste n'est plus qu'une question de pratique. ", "Les plus pressés liront plutôt le résumé. ",
    ),
    "spanish": (
        "Por desgracia, esto no se puede explicar en una sola frase. ", "Primero conviene conocer los conceptos más importantes. ",
        "Después, lo demás es solo cuestión de práctica. ", "Quien tenga prisa puede leer el resumen. ",
    ),
    "chinese": (
        "很遗憾这个问题无法用一句话来解释。", "首先应该了解最重要的概念。", "然后其余的只是练习的问题。", "时间不够的人可以先看摘要。",
    ),
}  # fmt: skip
"""What is said instead, over and over."""


class WrongLanguage(TextFault):
    """Selected answers are text of another language, as long as what the model said."""

    must = "share of answers in the asked language"
    examples: ClassVar = (
        Example(
            "{fault: wrong_language, target: assistant, language: french, duration: 60s}",
            does="100% of the treatment arm's answers of assistant come in French",
        ),
        Example("{fault: wrong_language, target: assistant, language: klingon, duration: 60s}", refused="german"),
    )

    fault: Literal["wrong_language"] = "wrong_language"
    language: Literal["german", "french", "spanish", "chinese"] = Field(
        "german", description="the language that the answers come in"
    )

    def explain(self) -> str:
        """One plain sentence."""
        return f"{format_share(self.share)} of the treatment arm's answers of {self.target} come in {self.language.capitalize()}"

    def rewritten(self, text: str, start: int, beginning: str, row: int, call: Call) -> str:  # noqa: ARG002
        """As many characters of the other language, from a sentence that the chance of the row begins with."""
        sentences = SENTENCES[self.language]
        first = int(call.chance(row, "wrong_language") * len(sentences))
        said = "".join(sentences[first:] + sentences[:first])
        begin = start % len(said)
        return (said * (len(text) // len(said) + 2))[begin : begin + len(text)]

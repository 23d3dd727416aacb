"""report.html."""
from chaos.journal import Line
from chaos.plan import Plan
from chaos.verdict import Verdict


def render(verdict: Verdict, plan: Plan, lines: list[Line]) -> str:
    """A placeholder until the real one lands."""
    return f"<pre>{verdict.verdict}</pre>"

"""Why a rehearsal and the second run disagree, as far as somebody has found it: fault → sentence."""

from __future__ import annotations

REASONS: dict[str, str] = {}

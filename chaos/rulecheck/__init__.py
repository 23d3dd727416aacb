"""Finds the alert rule that cannot fire, or always does, before anything is hurt. Pure.

rule + facts ─▶ checker.check() ─▶ problems
            └─▶ checker.unanswered() ─▶ what must still be asked of the server: its own engine says what an expression returns
"""

"""The first files of somebody who has none: what was found running becomes a system file and an experiment for each alert rule. Pure.

Found ─▶ reading of each rule ─▶ candidates (fault, points, reasons) ─▶ texts of files ─▶ sentences
"""

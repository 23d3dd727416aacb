"""Every fault of the catalogue in the lab, and what monitoring made of it: one experiment a fault, one stored result, one page."""

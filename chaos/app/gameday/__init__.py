"""Game days, played and served. Wiring."""

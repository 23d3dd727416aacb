"""How far measured detection times lie from the truth."""

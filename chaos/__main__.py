"""`python -m chaos`: the same as the command `chaos`, whichever program of that name comes first on PATH."""

from chaos.app.cli import main

main()

"""`python -m chaos`: the same as the command `chaos`, whichever program of that name comes first on PATH."""

from chaos.app.door import main

main()

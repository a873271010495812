"""`python -m relay.cli`: the same as the console script `tocsin`."""

from relay.cli.entry import main

main()

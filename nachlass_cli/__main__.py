"""`python -m nachlass_cli`, the same as the command `nachlass`."""

from nachlass_cli.main import main

main()

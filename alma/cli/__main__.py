"""`python -m alma.cli`: the same as `alma-pulumi`."""

from alma.cli import main

if __name__ == "__main__":
    main()

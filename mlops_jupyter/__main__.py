"""``python -m mlops_jupyter`` is ``mlops``."""

from .cli import main

if __name__ == "__main__":
    main()

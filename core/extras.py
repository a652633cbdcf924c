"""How packages that only some commands want are installed: the extras of pyproject.toml."""


def to_install(extra: str) -> str:
    """Return the command that adds an extra to a clone's environment: editable as it was, in the tested versions."""
    return f"pip install -e '.[{extra}]' -c constraints.txt"

"""All figures of an evaluation."""


def draw(model, split, result, rows, config, device) -> list[dict[str, str]]:
    """Draw them."""
    return []

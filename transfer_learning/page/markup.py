"""The results of a picture as HTML; whatever comes from outside (names of files, classes and weights) is escaped."""

from base64 import b64encode
from collections.abc import Iterable, Sequence
from html import escape

from core.classes import ClassSet
from core.evaluation import MANY_CLASSES, counted
from core.files import read_bytes
from core.terminal.screen import visible
from transfer_learning.page.found import Answer, Found, Shown
from transfer_learning.page.looking import Looker


def introduction(lookers: Sequence[Looker], limits: str) -> str:
    """Return what stands above all: which weights, which classes, what may be dropped."""
    titles = " and ".join(f"<b>{_text(looker.title)}</b>" for looker in lookers)
    classes = lookers[0].classes
    named = " ".join(
        f'<span class="class">{_swatch(classes, c)}{_text(classes.names[c])}</span>'
        for c in range(min(len(classes), MANY_CLASSES))
    )
    more = f" and {len(classes) - MANY_CLASSES} more" if len(classes) > MANY_CLASSES else ""
    words = f"<p>{titles}</p><p>{named}{more}</p><p>{limits}</p>"
    return f'<div class="ae"><h1>Segment pictures</h1>{words}</div>'


def unread(answer: Answer) -> str:
    """Return the files that could not be read, as `predict` names them."""
    lines = "".join(f"<p>not read: {_text(name)}: {_text(reason)}</p>" for name, reason in answer.unread)
    return f'<div class="ae"><div class="unread" role="alert">{lines}</div></div>' if lines else ""


def of_picture(answer: Answer, place: int) -> str:
    """Return what the networks found in a picture, side by side."""
    every = [results.found[place] for results in answer.results]
    titles = [results.looker.title for results in answer.results]
    first, alike = every[0], answer.alike[place]
    notes = "; ".join(map(_text, first.record["notes"]))
    size = f"{first.record['width']} × {first.record['height']} px"
    words = f"<h2>{_text(first.name)}</h2><p>{size}{f'; {notes}' if notes else ''}</p>"
    if alike is not None:
        words += f'<p class="alike">The networks agree on {alike:.1%} of the pixels.</p>'
    several = len(every) > 1
    columns = "".join(
        f'<section class="network">{f"<h3>{_text(title)}</h3>" if several else ""}{_of_network(found)}</section>'
        for title, found in zip(titles, every, strict=True)
    )
    return f'<div class="ae">{words}<div class="networks{" several" if several else ""}">{columns}</div></div>'


def _of_network(found: Found) -> str:
    if found.unexplained:
        speaks = f"<p>{_text(found.unexplained)}.</p>"
    elif not found.speaks:
        speaks = "<p>Nothing but background was found.</p>"
    else:
        speaks = (
            "<p>Bright is what the network goes by at the encoder's deepest features, each map on its own scale. "
            "Behind instance norms Grad-CAM says little but at the edges; HiResCAM is spared that.</p>"
            f"{_figures(found.speaks)}"
        )
    return (
        f"{_figures(found.shown, 'shown')}{_table(found)}"
        f'<details class="speaks" open><summary>What speaks for each class</summary>{speaks}</details>'
    )


def _figures(shown: Iterable[Shown], kind: str = "") -> str:
    figures = "".join(
        f'<figure><img src="data:image/png;base64,{b64encode(read_bytes(one.path)).decode()}" alt="{_text(one.title)}"'
        f' class="{_text(one.title) if one.title == "mask" else "picture"}"><figcaption>{_text(one.title)}</figcaption>'
        "</figure>"
        for one in shown
    )
    return f'<div class="figures {kind}">{figures}</div>'


def _table(found: Found) -> str:
    classes, of_classes = found.classes, found.record["classes"]
    order = list(range(len(classes)))
    many = len(order) > MANY_CLASSES
    if many:
        order = sorted((c for c in order if found.areas.pixels[c]), key=lambda c: -found.areas.pixels[c])
    rows = "".join(_row(classes, c, of_classes[classes.names[c]]) for c in order[:MANY_CLASSES])
    left = f"<p>The {counted(min(len(order), MANY_CLASSES), 'largest class')} of {len(classes)}.</p>" if many else ""
    return (
        f"<table><thead><tr><th>class</th><th>pixels</th><th>share</th><th>mean confidence</th></tr></thead>"
        f"<tbody>{rows}</tbody><tfoot><tr><th>all</th><td>{int(found.areas.pixels.sum()):,}</td><td>100.0%</td>"
        f"<td>{found.record['confidence']:.3f}</td></tr></tfoot></table>{left}"
    )


def _row(classes: ClassSet, c: int, values: dict[str, float | None]) -> str:
    confidence = values["confidence"]
    return (
        f"<tr><th>{_swatch(classes, c)}{_text(classes.names[c])}</th><td>{values['pixels']:,}</td>"
        f"<td>{values['share']:.1%}</td><td>{'–' if confidence is None else f'{confidence:.3f}'}</td></tr>"
    )


def _swatch(classes: ClassSet, c: int) -> str:
    red, green, blue = classes.palette[c]
    return f'<i class="swatch" style="background: rgb({red}, {green}, {blue})"></i>'


def _text(text: str) -> str:
    return escape(visible(text))

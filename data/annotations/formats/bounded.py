"""Files of annotations as text: read up to a size that no honest one exceeds."""

from pathlib import Path
from typing import Any

from core.errors import UserError
from core.files import NotAFileError
from core.filing.json_file import NotJSONError, parse_json
from data.decoders.opening import PictureError, open_file

MOST_BYTES = 2**29  # COCO's own of 118,000 pictures has 448 MB
MOST_OF_A_PICTURE = 2**27  # with the picture itself in base64, as labelme may keep it


def read_annotation_json(path: Path, most: int = MOST_OF_A_PICTURE) -> Any:
    """Return what the JSON of one picture holds.

    Raises:
        PictureError: it is none, too large or nested too deeply; cannot be read.
    """
    try:
        return parse_json(read_annotation_bytes(path, most), str(path))
    except NotJSONError as error:
        raise PictureError(f"no JSON ({error.reason})") from None
    except NotAFileError as error:
        raise PictureError(error.reason) from None
    except UserError as error:
        raise PictureError(str(error)) from None


def read_annotation_bytes(path: Path, most: int = MOST_OF_A_PICTURE) -> bytes:
    """Return the bytes of a file. Raises as `read_annotation_json`."""
    with open_file(path) as file:
        if path.stat().st_size > most:
            raise PictureError(f"larger than {most // 2**20} MiB: no annotations are")
        return file.read()

"""A multipart/form-data body, read as it arrives: text fields are kept, the one file goes where its caller says.

What fields mean is uploads.py's and openai.py's business. python-multipart parses; what is ours is that nothing is
spooled before somebody has decided to read, and that the bytes of the file pass through once.

What surprises: fields may come before and after the file, so a form can be judged only when all of it was read.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from diary_pipeline.api.incoming import Incoming, disposition_name, too_large
from diary_pipeline.api.problems import Problem

MEDIA_TYPE = "multipart/form-data"
FILE = "file"
"""The field that holds the recording."""
MOST_FIELDS = 64
MOST_TEXT_BYTES = 256 * 1024
"""All fields together: metadata of an application, not a second file."""
MOST_FRAME_BYTES = 64 * 1024
"""Boundaries and headers of all parts."""


@dataclass(frozen=True)
class Form:
    """What was in a form beside the bytes of its file."""

    fields: dict[str, list[str]] = field(default_factory=dict)
    file_name: str | None = None
    content_digest: str | None = None
    """The header of that name of the file's own part."""


def is_form(content_type: str | None) -> bool:
    """Say whether a body is a form with parts."""
    return parse_options_header(content_type)[0] == MEDIA_TYPE.encode()


async def read_form(content_type: str | None, body: AsyncIterator[bytes], file: Incoming) -> Form:
    """Read a whole form, with its file into `file`.

    Problem: 400 `form_invalid`, 413 for what is too large, 422 `file_missing`, `file_repeated`, `field_unexpected`.
    """
    reading = _Reading(content_type)
    total, most = 0, file.most_bytes + MOST_TEXT_BYTES + MOST_FRAME_BYTES
    async for chunk in body:
        total += len(chunk)
        if total > most:
            raise too_large(file.most_bytes)
        for data in reading.feed(chunk):
            await file.write(data)
    form = reading.finish()
    await file.settle()
    return form


class _Reading:
    """What was seen of a form so far."""

    def __init__(self, content_type: str | None) -> None:
        boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
        if not boundary:
            raise _broken()
        self._fields: dict[str, list[str]] = {}
        self._file: Form | None = None
        self._of_file: list[bytes] = []
        self._text: list[bytes] = []
        self._text_bytes = 0
        self._parts = 0
        self._name: str | None = None
        """Of the text field that is being read; None: it is the file."""
        self._header = b""
        self._value = b""
        self._headers: dict[bytes, bytes] = {}
        self._ended = False
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin,
                    "on_header_field": self._header_field,
                    "on_header_value": self._header_value,
                    "on_header_end": self._header_end,
                    "on_headers_finished": self._headers_finished,
                    "on_part_data": self._data,
                    "on_part_end": self._end,
                    "on_end": self._finished,
                },
            )
        except FormParserError as error:
            raise _broken() from error

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take the next bytes of the body and return those of the file in it."""
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise _broken() from error
        found, self._of_file = self._of_file, []
        return found

    def finish(self) -> Form:
        """Give the form, which must be whole."""
        if not self._ended:
            raise _broken()
        if self._file is None:
            raise Problem(422, "file_missing", f"The form has no field {FILE!r} with the recording in it.")
        return Form(self._fields, self._file.file_name, self._file.content_digest)

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > MOST_FIELDS:
            raise Problem(413, "form_too_large", f"The form has more than {MOST_FIELDS} fields.")
        self._headers, self._text, self._name = {}, [], None

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[self._header.lower()] = self._value
        self._header = self._value = b""

    def _headers_finished(self) -> None:
        header = self._headers.get(b"content-disposition", b"")
        _, said = parse_options_header(header)
        if b"name" not in said:
            raise _broken()
        name = said[b"name"].decode("utf-8", "replace")
        file_name = disposition_name(header.decode("latin-1"))  # the parser knows no `filename*`
        if name == FILE:
            if self._file is not None:
                raise Problem(422, "file_repeated", "The form has two files: hand in each with a request of its own.")
            if file_name is None:
                told = (
                    f"The field {FILE!r} is a text and no file: send it with its file name, `{FILE}=@memo.m4a` in curl."
                )
                raise Problem(422, "file_missing", told)
            digest = self._headers.get(b"content-digest")
            self._file = Form({}, file_name, digest.decode("latin-1") if digest else None)
        elif file_name is not None:
            raise Problem(422, "field_unexpected", f"The recording goes into {FILE!r}; the form has a file elsewhere.")
        else:
            self._name = name

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._name is None:
            self._of_file.append(data[start:end])
            return
        self._text_bytes += end - start
        if self._text_bytes > MOST_TEXT_BYTES:
            raise Problem(413, "form_too_large", f"The text fields of the form hold more than {MOST_TEXT_BYTES} bytes.")
        self._text.append(data[start:end])

    def _end(self) -> None:
        if self._name is not None:
            self._fields.setdefault(self._name, []).append(_text(b"".join(self._text)))

    def _finished(self) -> None:
        self._ended = True


def _text(said: bytes) -> str:
    try:
        return said.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Problem(422, "field_invalid", "A field of the form is no UTF-8.") from error


def _broken() -> Problem:
    return Problem(400, "form_invalid", "The body is no whole multipart/form-data; `curl -F file=@memo.m4a` makes one.")

"""How a submission names bytes that were handed in: `upload:`, and the id under which the object store has them."""

UPLOAD = "upload:"


def upload_uri(id: str) -> str:
    """Name what was uploaded under this id."""
    return f"{UPLOAD}{id}"


def is_upload(uri: str | None) -> bool:
    """Whether bytes were handed in, so that nobody else need have them."""
    return uri is not None and uri.startswith(UPLOAD)


def upload_id(uri: str) -> str:
    """Return the id in the name of an upload."""
    return uri.removeprefix(UPLOAD)

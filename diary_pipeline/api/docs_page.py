"""The page at /docs: Swagger UI over our OpenAPI document, all of it served from here: it works without a network.

What surprises: the framework's own page is not used. It starts Swagger UI by a script inside of the page, which only a
policy lets run that would let any script run.
"""

from collections.abc import Callable, Mapping
from importlib.resources import files

from fastapi import APIRouter, FastAPI, Response

DOCS = "/docs"
_LIBRARY = "fastapi_swagger"
"""The package that keeps Swagger UI's files; its own routes are not used: they are named after the Host header."""
_START = """SwaggerUIBundle({
  url: "openapi.json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null,
});
"""
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="docs/favicon-32x32.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
_KEPT: Mapping[str, str] = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon-32x32.png": "image/png",
}
PATHS = frozenset({DOCS, f"{DOCS}/start.js", *(f"{DOCS}/{name}" for name in _KEPT)})
"""Of the page and all that it loads."""


def add_docs(app: FastAPI, title: str) -> None:
    """Serve the page; paths in it are relative, so that a proxy may serve the API below a path of its own."""
    router = APIRouter(include_in_schema=False)
    page = _PAGE.format(title=title)
    router.add_api_route(DOCS, lambda: Response(page, media_type="text/html"))
    router.add_api_route(f"{DOCS}/start.js", lambda: Response(_START, media_type="text/javascript"))
    for name in _KEPT:
        router.add_api_route(f"{DOCS}/{name}", _kept(name))
    app.include_router(router)


def _kept(name: str) -> Callable[[], Response]:
    def kept() -> Response:
        content = (files(_LIBRARY) / "resources" / name).read_bytes()
        return Response(content, media_type=_KEPT[name])

    return kept

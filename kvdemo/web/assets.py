"""Serve the browser's half (frontend/) under an address that changes with its content, so that browsers may keep it.

The files are ES modules and style sheets that name each other by relative addresses; plotly.js, the file that the
plotly package ships, is served beside them. The page's head names them relative to the page, as Gradio's own files are
named, which holds behind a proxy's path and on a share link.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from os import PathLike, stat_result
from pathlib import Path
from typing import Any

import plotly
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from kvdemo.core.figures.metrics import SAME
from kvdemo.core.types import BOUNDS
from kvdemo.web.words.figures import DEFINITIONS
from kvdemo.web.words.glossary import GLOSSARY, WORDS

FRONTEND = Path(__file__).parent / "frontend"
PLOTLY_JS = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
#: One year, the most that caches heed: another content has another address.
FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}
#: Gradio puts the head into the page when it starts to draw. Nothing is shown before the style sheets and main.js are
#: there: all four tabs would be, one above the other.
HIDDEN = "html:not([data-kv-tab]) .gradio-container { visibility: hidden; }"


_STATIC_IMPORT = re.compile(r"""^(?:import|export) .*?from "(.+?)";""", re.MULTILINE)
_STYLE_IMPORT = re.compile(r"""^@import "(.+?)";""", re.MULTILINE)


class _Files(StaticFiles):
    """Files of a folder, to be kept by the browser."""

    def file_response(
        self, full_path: str | PathLike[str], stat_result: stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers.update(FOR_EVER)
        return response


def files() -> list[Path]:
    """List the scripts and style sheets, relative to FRONTEND, sorted."""
    return sorted(path.relative_to(FRONTEND) for suffix in ("js", "css") for path in FRONTEND.rglob(f"*.{suffix}"))


def address() -> str:
    """Return the folder's address relative to the page: `frontend/` and a hash of everything that is served there."""
    digest = hashlib.sha256(plotly.__version__.encode())
    for path in files():
        digest.update(path.as_posix().encode() + b"\0" + (FRONTEND / path).read_bytes() + b"\0")
    return f"frontend/{digest.hexdigest()[:16]}"


def preloaded() -> list[Path]:
    """List what frontend/main.js imports, and what that imports, without what is imported when it is needed."""
    found: set[Path] = set()
    ahead = [Path("main.js")]
    while ahead:
        path = ahead.pop()
        if path not in found:
            found.add(path)
            names = _STATIC_IMPORT.findall((FRONTEND / path).read_text("utf-8"))
            ahead += [Path(os.path.normpath(path.parent / name)) for name in names]
    return sorted(found)


def styles() -> str:
    """Join the style sheets in the order in which styles/main.css imports them: a dozen requests are slower."""
    folder = FRONTEND / "styles"
    main = (folder / "main.css").read_text("utf-8")
    return _STYLE_IMPORT.sub(lambda found: (folder / found[1]).read_text("utf-8"), main)


def routes() -> list[BaseRoute]:
    """List routes for the web server that Gradio starts (`launch(app_kwargs={"routes": ...})`)."""

    def plotly_js(_: Request) -> Response:
        return FileResponse(PLOTLY_JS, headers=FOR_EVER)

    def main_css(_: Request) -> Response:
        return Response(styles(), media_type="text/css", headers=FOR_EVER)

    served = _Files(directory=FRONTEND)

    async def file(request: Request) -> Response:
        return await served.get_response(request.path_params["path"], request.scope)

    root = f"/{address()}"
    return [
        Route(f"{root}/plotly.min.js", plotly_js),
        Route(f"{root}/styles/main.css", main_css),
        # No `Mount`: behind a proxy it looks for its path below the one under which the proxy shows the page.
        Route(f"{root}/{{path:path}}", file),
    ]


def head() -> str:
    """Write the page's head: frontend/early.js and facts as text, the rest by address, asked for at the same time.

    Gradio adds it when it begins to draw. Scripts named before that compete with Gradio's own: Race can be pressed 6 %
    later (`python -m benchmarks page`).
    """
    root = f"./{address()}"
    facts = _script_json({"definitions": DEFINITIONS | GLOSSARY, "words": WORDS, "bounds": BOUNDS, "same": SAME})
    return "\n".join([
        f"<style>{HIDDEN}</style>",
        f"<script>{(FRONTEND / 'early.js').read_text('utf-8')}\nObject.assign(kvdemo, {facts});</script>",
        f'<link rel="stylesheet" href="{root}/styles/main.css">',
        *(f'<link rel="modulepreload" href="{root}/{path.as_posix()}">' for path in preloaded()),
        f'<script type="module" src="{root}/main.js"></script>',
    ])  # fmt: skip


def _script_json(value: Any) -> str:
    """Write JSON that may stand in a script element: no text in it can end the element."""
    return json.dumps(value).replace("<", "\\u003c")

"""The application: every part of the API and the page, put together."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

import prometheus_client
from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from edgecl import __version__
from edgecl.daemon.daemon import Daemon
from edgecl.web import parts, refusals
from edgecl.web.access import OPEN_PATHS, SESSION, Access
from edgecl.web.bodies import JSON_MAX
from edgecl.web.guard import Guard
from edgecl.web.measures import Measures
from edgecl.web.pages import STATIC
from edgecl.web.spread import Spread

DESCRIPTION = f"""Times are seconds, UTC since the epoch; shares, probabilities and accuracies are in [0, 1]. A body is
JSON of at most {JSON_MAX // 1024} KiB, but where another kind is named. Fields may be added to answers.

What happens is told as it happens by the WebSocket `/api/v1/live`."""
SCHEMES = {
    "token": {"type": "http", "scheme": "bearer", "description": "What is in the file `server.token_file`."},
    "session": {"type": "apiKey", "in": "cookie", "name": SESSION, "description": "Given by a login with the token."},
}


class Described(FastAPI):
    """An application whose schema tells what the guard before it asks for."""

    def openapi(self) -> dict[str, Any]:
        """The schema."""
        schema, access = super().openapi(), self.state.access
        shown: list[dict[str, list[str]]] = [{name: []} for name in SCHEMES]
        schema["components"]["securitySchemes"] = SCHEMES
        schema["security"] = shown if access.token else [*shown, {}]
        for path in set(OPEN_PATHS) & set(schema["paths"]):
            for operation in schema["paths"][path].values():
                operation["security"] = [*shown, {}]
        return schema


def application(daemon: Daemon, access: Access) -> FastAPI:
    """What shows `daemon` to people and machines, by the rules of `access`."""
    prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # half of all lines, and of no use here
    spread, measures = Spread(daemon), Measures(daemon)
    daemon.listen(measures.heard)
    app = Described(
        title="edgecl",
        version=__version__,
        summary="A camera that is taught on the spot and does not forget.",
        description=DESCRIPTION,
        docs_url=None,  # its page comes from elsewhere
        redoc_url=None,
        lifespan=spread.lifespan,
        responses={status: {"model": refusals.Refused, "description": "why not"} for status in (422, "default")},
    )
    app.state.daemon, app.state.access, app.state.spread, app.state.measures = daemon, access, spread, measures
    refusals.install(app)
    for part in pkgutil.iter_modules(parts.__path__):
        module: Any = importlib.import_module(f"{parts.__name__}.{part.name}")
        app.include_router(module.router)
    app.mount("/static", StaticFiles(directory=STATIC), "static")
    app.add_middleware(Guard, access=access)
    return app

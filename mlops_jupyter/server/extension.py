"""The wiring: one workspace, one pool of threads, one table of routes, one watch."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

from jupyter_server.extension.application import ExtensionApp
from jupyter_server.utils import url_path_join

from ..workspace import ENV, Workspace
from .handlers import APIRouteHandler
from .relay import SCHEMA, Watch
from .routes import PREFIX, by_path

_THREADS = 8


class MLOpsExtension(ExtensionApp):
    """Serves the workspace around the server's root folder to JupyterLab.

    Kernels that the server starts use the same workspace (``$MLOPS_WORKSPACE``). Nothing is
    created in a folder that is no workspace yet.
    """

    name = "mlops_jupyter"

    def initialize_settings(self) -> None:
        """Find the workspace, and watch it from when the loop runs until the server stops."""
        server = self.serverapp
        assert server is not None and server.event_logger is not None
        self.workspace = Workspace.find(server.root_dir)
        self._environ_before = os.environ.get(ENV)
        os.environ[ENV] = str(self.workspace.root)
        self.pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="mlops")
        server.event_logger.register_event_schema(SCHEMA)
        self.watch = Watch(self.workspace.root, server.event_logger.emit, self.log)
        server.io_loop.add_callback(self.watch.start)

    def initialize_handlers(self) -> None:
        """Add every route of the table; unknown paths below the prefix answer in JSON too."""
        assert self.serverapp is not None
        root = self.workspace.root
        folder = self.workspace.relative(self.serverapp.root_dir)
        for path, routes in {**by_path(), ".*": {}}.items():
            arguments = {
                "root": root,
                "folder": folder,
                "pool": self.pool,
                "routes": routes,
            }
            self.handlers.append((url_path_join(PREFIX, path), APIRouteHandler, arguments))

    async def stop_extension(self) -> None:
        """End with the server: no task, thread, lock or variable of ours stays behind."""
        if not hasattr(self, "watch"):
            return
        await self.watch.stop()
        self.pool.shutdown(wait=False, cancel_futures=True)
        if os.environ.get(ENV) == str(self.workspace.root):
            if self._environ_before is None:
                del os.environ[ENV]
            else:
                os.environ[ENV] = self._environ_before

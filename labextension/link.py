"""Make this checkout's extension the one that JupyterLab of this environment loads.

``python link.py`` links ``mlops_jupyter/labextension`` into ``share/jupyter/labextensions`` and
``jupyter_server_config.json`` into ``etc/jupyter/jupyter_server_config.d``. Run by `jlpm develop`.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PREFIX = Path(sys.prefix)
LINKS = {
    PREFIX / "share/jupyter/labextensions/mlops-jupyter": HERE.parent
    / "mlops_jupyter/labextension",
    PREFIX / "etc/jupyter/jupyter_server_config.d/mlops_jupyter.json": HERE
    / "jupyter_server_config.json",
}


def main() -> None:
    """Replace what is there by the links."""
    for link, target in LINKS.items():
        link.parent.mkdir(parents=True, exist_ok=True)
        if link.is_dir() and not link.is_symlink():
            shutil.rmtree(link)
        else:
            link.unlink(missing_ok=True)
        link.symlink_to(target, target_is_directory=target.is_dir())


if __name__ == "__main__":
    main()

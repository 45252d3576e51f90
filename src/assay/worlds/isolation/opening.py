"""How a zygote is opened for a specification: its environment, its view and its setting."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from assay.worlds.isolation import bubblewrap, launch, order, spec

if TYPE_CHECKING:
    from assay.core.sandbox import Place
    from assay.worlds.isolation.spec import IsolationSpec

# One thread for BLAS: its pool would be started on import, and copies of a process lose their threads.
_ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def environment(what: IsolationSpec) -> dict[str, str]:
    """Return what every program finds in its environment beside its place; nothing comes from the host's."""
    return {
        "PATH": os.pathsep.join((f"{sys.prefix}/bin", "/usr/local/bin", "/usr/bin", "/bin")),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONHASHSEED": str(what.hash_seed),
        "PYTHONDONTWRITEBYTECODE": "1",
        "USER": "agent",
        "LOGNAME": "agent",
        **what.env,
    }


class Opener:
    """Opens zygotes for one specification, as often as they are needed."""

    def __init__(self, what: IsolationSpec, bwrap: str) -> None:
        self._spec = what
        self._bwrap = bwrap
        self._home = ""

    async def open(self, preload: tuple[str, ...], place: Place | None) -> launch.Zygote:
        """Open a zygote for many episodes or (a jail around one `place`) for a single one.

        Raises `PreloadError`, `IsolationUnavailableError` or `WorldError`.
        """
        setting = order.Setting(
            confine=order.TREE, parent=0, python_path=list(self._spec.python_path), preload=list(preload)
        )
        if self._spec.kind == "process":
            zygote, setting = self._spawn_process(setting)
        else:
            zygote, setting = self._spawn_jail(setting, place)
        try:
            await zygote.get_ready(setting, self._spec.open_timeout_s)
        except BaseException:
            await zygote.close()
            raise
        return zygote

    def close(self) -> None:
        """Remove the home of the zygotes."""
        if self._home:
            shutil.rmtree(self._home, ignore_errors=True)

    def _spawn_process(self, setting: order.Setting) -> tuple[launch.Zygote, order.Setting]:
        if not self._home:
            self._home = tempfile.mkdtemp(prefix="zygote-", dir=self._spec.scratch)
        env = {**_ONE_THREAD, **environment(self._spec), "HOME": self._home, "TMPDIR": self._home}
        cwd = self._spec.project_root or self._home
        return launch.spawn(launch.Confinement(), env, cwd), setting._replace(parent=os.getpid())

    def _spawn_jail(self, setting: order.Setting, place: Place | None) -> tuple[launch.Zygote, order.Setting]:
        view = bubblewrap.view(self._spec, place)
        if place is None:
            setting = setting._replace(
                confine=order.NESTED,
                own_network=self._spec.network == "none",
                keep=view.keep,
                conceal=(str(Path(self._spec.scratch).resolve()),),
            )
        env = {**_ONE_THREAD, **environment(self._spec), "HOME": spec.HOME, "TMPDIR": spec.TMP}
        confinement = launch.Confinement(argv=(self._bwrap, *view.argv), fds=view.fds)
        return launch.spawn(confinement, env, "/"), setting

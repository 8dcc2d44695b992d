"""The configuration files of pip and uv, as plain settings: where they are, and the few keys that matter to a pull.

pip reads a global, a user and a site file, or the one that `PIP_CONFIG_FILE` adds; later ones win. uv reads a system
and a user `uv.toml`, or the one that `UV_CONFIG_FILE` names. A file that is missing or broken counts as empty: it is
somebody else's, and the tool that owns it says what is wrong with it.
"""

from __future__ import annotations

import configparser
import logging
import os
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import platformdirs

_log = logging.getLogger(__name__)


def pip_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """pip's settings from its files: keys as on its command line, without the dashes (`index-url`)."""
    settings: dict[str, str] = {}
    for path in _pip_files(environ):
        parser = configparser.RawConfigParser(strict=False)
        try:
            parser.read_string(path.read_text("utf-8-sig", errors="replace"))
        except FileNotFoundError:
            continue
        except (OSError, configparser.Error) as error:
            _log.warning("%s is left out: %s", path, error)
            continue
        for section in ("global", "install"):
            if parser.has_section(section):
                for key, value in parser.items(section):
                    settings[key.removeprefix("--").replace("_", "-")] = value.strip()
    return settings


def _pip_files(environ: Mapping[str, str]) -> Iterator[Path]:
    """In pip's order: what comes later wins."""
    own = environ.get("PIP_CONFIG_FILE", "")
    if own == os.devnull:
        return
    name = "pip.ini" if sys.platform == "win32" else "pip.conf"
    shared = platformdirs.site_config_dir("pip", appauthor=False, multipath=True)
    for folder in shared.split(os.pathsep):
        yield Path(folder, name)
    if sys.platform not in {"win32", "darwin"}:
        yield Path("/etc", name)
    if not (own and Path(own).exists()):
        home = Path.home()
        yield home / ("pip" if sys.platform == "win32" else ".pip") / name
        if sys.platform == "darwin":
            yield home / ".config" / "pip" / name
        yield Path(platformdirs.user_config_dir("pip", appauthor=False, roaming=True), name)
    yield Path(sys.prefix, name)
    if own:
        yield Path(own)


def uv_settings(environ: Mapping[str, str]) -> dict[str, Any]:
    """The top level of uv's own configuration files, the user's over the system's."""
    settings: dict[str, Any] = {}
    for path in _uv_files(environ):
        try:
            settings |= tomllib.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            continue
        except (OSError, ValueError, RecursionError) as error:
            _log.warning("%s is left out: %s", path, error)
    return settings


def _uv_files(environ: Mapping[str, str]) -> Iterator[Path]:
    if environ.get("UV_NO_CONFIG", "").lower() in {"1", "true", "yes", "on"}:
        return
    if own := environ.get("UV_CONFIG_FILE"):
        yield Path(own)
    elif sys.platform == "win32":
        for variable in ("PROGRAMDATA", "APPDATA"):
            if folder := environ.get(variable):
                yield Path(folder, "uv", "uv.toml")
    else:
        yield Path("/etc/uv/uv.toml")
        folder = environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
        yield Path(folder, "uv", "uv.toml")

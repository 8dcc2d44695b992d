"""The part of the library that must be C: the log's callback takes a `va_list`, which only a variadic call can make,
and Python must be found before there is any."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from npurun_tui.engine.genie.declarations import FUNCTIONS, TYPES, UNKNOWN

EXPORTS: Final = FUNCTIONS + "".join(f"int32_t {name}(void*);\n" for name in UNKNOWN)
"""All 128 functions. What the six unknown ones take beyond the handle is ignored, as C calling conventions allow."""

HELPERS: Final = """
void npurun_log(LogFn callback, Log log, int32_t level, uint64_t nanoseconds, const char *format, const char *text);
"""

PATH_BEFORE: Final = "NPURUN_ABI_PYTHONPATH"
"""Where the process's own PYTHONPATH is kept while ours stands in its place."""

_LOG: Final = f"""
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
{TYPES}

typedef void (*NpurunLogFn)(Log, const char *, int32_t, uint64_t, va_list);

static void npurun_vlog(NpurunLogFn callback, Log log, int32_t level, uint64_t at, const char *format, ...) {{
    va_list arguments;
    va_start(arguments, format);
    callback(log, format, level, at, arguments);
    va_end(arguments);
}}

void npurun_log(LogFn callback, Log log, int32_t level, uint64_t at, const char *format, const char *text) {{
    if (callback)
        npurun_vlog((NpurunLogFn)callback, log, level, at, format, text);
}}
"""

_START: Final = """
#ifndef _WIN32
#include <dlfcn.h>

/* For a program that is no Python. Extension modules look up libpython's symbols globally, which a dlopen of this
   library does not make them; and cffi's own part must be found before any line of Python can say where. */
__attribute__((constructor)) static void npurun_prepare_python(void) {
    Dl_info found;
    const char *before = getenv("PYTHONPATH");
    static char path[8192];
    if (Py_IsInitialized())
        return;
    if (dladdr((void *)&Py_IsInitialized, &found) && found.dli_fname)
        dlopen(found.dli_fname, RTLD_NOW | RTLD_GLOBAL | RTLD_NOLOAD);
    setenv("%(before)s", before ? before : "", 1);
    snprintf(path, sizeof path, "%%s%%s%%s", %(folders)s, before ? ":" : "", before ? before : "");
    setenv("PYTHONPATH", path, 1);
}
#endif
"""


def source(folders: Sequence[str]) -> str:
    """The C text of a library whose Python finds its modules in `folders`."""
    joined = json.dumps(":".join(folders))
    return _LOG + _START % {"before": PATH_BEFORE, "folders": joined}

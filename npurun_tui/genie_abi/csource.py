"""The part of the library that must be C: the log's callback takes a `va_list`, which only a variadic call can make."""

from __future__ import annotations

from typing import Final

from npurun_tui.engine.genie.declarations import FUNCTIONS, TYPES, UNKNOWN

EXPORTS: Final = FUNCTIONS + "".join(f"int32_t {name}(void*);\n" for name in UNKNOWN)
"""All 128 functions. What the six unknown ones take beyond the handle is ignored, as C calling conventions allow."""

HELPERS: Final = """
void npurun_log(LogFn callback, Log log, int32_t level, uint64_t nanoseconds, const char *format, const char *text);
"""

SOURCE: Final = f"""
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
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

"""The library in a C program that knows nothing of Python: it is started by the first call."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.abi_library import built_library
from tests.support.genie_bundle import config
from tests.support.soak import TEXT, write_model

PROGRAM = r"""
#include <dlfcn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef void *handle;
#define GET(name, type) \
    __typeof__(type) name = (__typeof__(type))dlsym(library, #name); \
    if (!name) { puts("missing " #name); return 2; }

static void hear(const char *text, int32_t code, const void *user) {
    printf("%s[%d %d] ", text, code, *(const int *)user);
}

static void say(handle log, const char *format, int32_t level, uint64_t at, va_list arguments) {
    char line[200];
    (void)log; (void)at;
    vsnprintf(line, sizeof line, format, arguments);
    printf("LOG %d %s\n", level, line);
}

int main(int count, char **arguments) {
    handle library = dlopen(arguments[1], RTLD_NOW), config = 0, dialog = 0, log = 0;
    static char text[65536];
    int user = 7;
    FILE *file = fopen(arguments[2], "r");
    if (!library) { puts(dlerror()); return 2; }
    (void)count;
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    GET(Genie_getApiMinorVersion, uint32_t (*)(void))
    GET(GenieLog_create, int32_t (*)(handle, void *, int32_t, handle *))
    GET(GenieDialogConfig_createFromJson, int32_t (*)(const char *, handle *))
    GET(GenieDialogConfig_free, int32_t (*)(handle))
    GET(GenieDialog_create, int32_t (*)(handle, handle *))
    GET(GenieDialog_query, int32_t (*)(handle, const char *, int32_t, void *, const void *))
    GET(GenieDialog_free, int32_t (*)(handle))
    printf("API 1.%u\n", Genie_getApiMinorVersion());
    printf("log %d\n", GenieLog_create(0, (void *)say, 3, &log));
    printf("config %d\n", GenieDialogConfig_createFromJson(text, &config));
    printf("create %d\n", GenieDialog_create(config, &dialog));
    printf("free %d\n", GenieDialogConfig_free(config));
    printf("query %d\n", GenieDialog_query(dialog, "hello", 0, (void *)hear, &user));
    printf("free %d %d\n", GenieDialog_free(dialog), GenieDialog_free(dialog));
    return 0;
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("c")
    (folder / "program.c").write_text(PROGRAM)
    built = folder / "program"
    subprocess.run(["cc", "-o", built, folder / "program.c", "-ldl"], check=True)
    return built


def run(program: Path, file: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [str(program), str(built_library()), str(file)]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, **environ},
    )


def test_a_query_from_c(program: Path, tmp_path: Path) -> None:
    file, _ = write_model(tmp_path / "model")
    done = subprocess.run(
        [str(program), str(built_library()), str(file)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=file.parent,  # paths are relative to the working directory
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "API 1.21"
    assert lines[1] == "LOG 3 Genie Logger created with level : 3"
    assert lines[2:6] == ["log 0", "config 0", "create 0", "free 0"]
    words, _, ending = lines[6].partition("query ")
    assert ending == "0"
    assert words.startswith("Yes[1 7] ,[2 7] ")
    assert words.endswith("[3 7] ")
    assert "".join(part.split("[")[0] for part in words.split("] ")) == TEXT
    assert lines[7] in ("free -5 0", "free 0 -5")  # C does not say which argument comes first


def test_the_claimed_version_can_be_chosen(program: Path, tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(str(config(context=1, vocabulary=1, bos=-1, eos=0, model="none")))
    done = run(program, file, NPURUN_ABI_API="1.18")
    assert done.stdout.splitlines()[0] == "API 1.18"
    assert "config -7" in done.stdout  # Python's quotes are no JSON
    assert "Not JSON" in done.stderr

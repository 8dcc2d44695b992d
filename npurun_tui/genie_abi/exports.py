"""What C calls: all 128 names, each with the Python function behind it.

Nothing is raised into C. A failure's words go to stderr, as Genie's do, and its status is returned.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from npurun_tui.engine.dialog import GenieError
from npurun_tui.errors import NpurunError
from npurun_tui.genie_abi import dialog_settings, dialogs, encoder, logs, nodes, profiles, samplers
from npurun_tui.genie_abi.csource import EXPORTS
from npurun_tui.genie_abi.failure import AbiError, general
from npurun_tui.genie_abi.library import Library, claimed, parse
from npurun_tui.genie_abi.schema import check_root

log = logging.getLogger(__name__)

Function = Callable[..., int]

_KINDS: Final[dict[str, type[Any]]] = {
    "Dialog": dialogs.NativeDialog,
    "Node": encoder.Encoder,
    "Pipeline": encoder.Pipeline,
}
"""Handles whose objects do something, by the name in their functions."""

installed: list[Library] = []
"""The libraries of this process, for tests that count what is left open."""

GENERAL: Final = -1

_ARGUMENTS_FIRST: Final = frozenset(
    {
        "GenieAccuracy_compute",
        "GenieDialog_releaseLoraMemory",
        "GenieDlc_getUseCases",
        "GenieNode_setProgressCallback",
        "GenieNode_setTensorCallback",
        "GeniePerformance_update",
    }
)
"""Functions that look at their arguments before their handle: NULL there is -2 also with a bogus handle."""


def install(ffi: Any, lib: Any, built: str) -> None:
    """Give every exported function its Python side. The library itself calls this when it is first used."""
    library = Library(ffi, lib, claimed(built))
    installed.append(library)
    functions = _functions(library)
    for name, arguments in re.findall(r"(Genie\w+)\((.*)\);", EXPORTS):
        function = functions.get(name) or _missing(library, name, arguments)
        unsigned = name.startswith("Genie_getApi")
        ffi.def_extern(name=name, error=0 if unsigned else GENERAL)(
            function if unsigned else _guarded(library, name, function)
        )


def _guarded(library: Library, name: str, function: Function) -> Function:
    def call(*arguments: Any) -> int:
        try:
            return int(function(*arguments))
        except AbiError as error:
            if error.words:
                library.say(f"{name}: {error.words}")
            return int(error.status)
        except GenieError as error:
            library.say(str(error))
            return int(error.status)
        except NpurunError as error:
            library.say(f"{name}: {error}")
            return GENERAL
        except Exception as error:  # a fault of ours must not cross C; it is told and logged
            log.exception("%s failed", name)
            library.say(f"{name}: {type(error).__name__}: {error}")
            return GENERAL

    return call


def _functions(library: Library) -> dict[str, Function]:
    """The implemented ones by name."""
    major, minor, patch = library.version
    bound: dict[str, Function] = {
        "Genie_getApiMajorVersion": lambda: major,
        "Genie_getApiMinorVersion": lambda: minor,
        "Genie_getApiPatchVersion": lambda: patch,
    }
    for name, function in _OWN.items():
        bound[name] = partial(function, library)
    return bound


def _missing(library: Library, name: str, arguments: str) -> Function:
    """Plain handle functions of kinds that do nothing, and the ones that are not implemented."""
    kind, _, verb = name.removeprefix("Genie").partition("_")
    plain: dict[str, Function] = {
        "createFromJson": partial(nodes.config_from_json, library, kind),
        "bindLogger": partial(nodes.bind, library, kind, logs.Log),
        "bindProfiler": partial(nodes.bind, library, kind, profiles.Profile),
        "free": partial(nodes.free, library, kind),
        "create": partial(nodes.create, library, f"{kind}Config"),
    }
    if verb in plain:
        return plain[verb]
    if verb in ("createFromDlc", "createFromDialog", "createFromNode"):
        return partial(_from_other, library, arguments.split(",", maxsplit=1)[0].strip(), verb)
    return partial(_unavailable, library, name, _KINDS.get(kind, kind))


def _unavailable(
    library: Library, name: str, kind: str | type[Any], handle: Any, *arguments: Any
) -> int:
    if name == "GenieDialog_setPerformancePerStage":
        library.need(handle)
    if name in _ARGUMENTS_FIRST:
        library.need_after(
            handle, *(each for each in arguments if not isinstance(each, int | float))
        )
    if isinstance(kind, str):
        return nodes.unavailable(library, kind, handle)
    library.get(handle, kind)
    raise general("This is not implemented on the CPU.")


def _from_other(library: Library, kind: str, verb: str, handle: Any, *arguments: Any) -> int:
    """`_createFromDlc` and its like: what they are made from cannot be had here."""
    if verb == "createFromDlc":
        library.need(handle, *arguments)
    return nodes.unavailable(library, kind, handle)


# --- profiles ------------------------------------------------------------------------------------


def _profile_config(library: Library, pointer: Any, out: Any) -> int:
    library.need(pointer, out)
    document = check_root("profile", parse(library.text(pointer)), library.release)
    library.give(out, profiles.ProfileConfig(bool(document.get("trace", {}).get("enable"))))
    return 0


def _bind_profile_log(library: Library, handle: Any, other: Any) -> int:
    library.get(handle, profiles.ProfileConfig)
    library.get(other, logs.Log)
    return 0


def _free_profile_config(library: Library, handle: Any) -> int:
    library.free(handle, profiles.ProfileConfig)
    return 0


def _create_profile(library: Library, config: Any, out: Any) -> int:
    library.need(out)
    trace = config != library.ffi.NULL and library.get(config, profiles.ProfileConfig).trace
    library.give(out, profiles.Profile(trace))
    return 0


def _profile_json(library: Library, handle: Any, allocate: Any, out: Any) -> int:
    library.need_after(handle, allocate, out)
    profile = library.get(handle, profiles.Profile)
    library.fill(allocate, out, profile.to_json())
    return 0


def _free_profile(library: Library, handle: Any) -> int:
    library.get(handle, profiles.Profile).check_free()
    library.free(handle, profiles.Profile)
    return 0


def _free_sampler_config(library: Library, handle: Any) -> int:
    library.free(handle, samplers.SamplerConfig)
    return 0


def _bind_sampler_log(library: Library, handle: Any, other: Any) -> int:
    library.get(handle, samplers.SamplerConfig)
    library.get(other, logs.Log)
    return 0


_OWN: Final[dict[str, Function]] = {
    "GenieLog_create": logs.create,
    "GenieLog_free": logs.free,
    "GenieProfileConfig_createFromJson": _profile_config,
    "GenieProfileConfig_bindLogger": _bind_profile_log,
    "GenieProfileConfig_free": _free_profile_config,
    "GenieProfile_create": _create_profile,
    "GenieProfile_getJsonData": _profile_json,
    "GenieProfile_free": _free_profile,
    "GenieSamplerConfig_createFromJson": samplers.config_from_json,
    "GenieSamplerConfig_setParam": samplers.set_param,
    "GenieSamplerConfig_bindLogger": _bind_sampler_log,
    "GenieSamplerConfig_free": _free_sampler_config,
    "GenieSampler_applyConfig": samplers.apply_config,
    "GenieSampler_registerCallback": samplers.register,
    "GenieSampler_registerUserDataCallback": samplers.register,
    "GenieSampler_create": samplers.create,
    "GenieSampler_sampleData": samplers.sample_data,
    "GenieSampler_free": samplers.free,
    "GenieTokenizer_encode": dialog_settings.encode,
    "GenieTokenizer_decode": dialog_settings.decode,
    "GenieDialogConfig_createFromJson": dialogs.config_from_json,
    "GenieDialogConfig_bindProfiler": dialogs.bind_profiler,
    "GenieDialogConfig_bindLogger": dialogs.bind_logger,
    "GenieDialogConfig_free": dialogs.free_config,
    "GenieDialog_create": dialogs.create,
    "GenieDialog_query": dialogs.query,
    "GenieDialog_batchQuery": dialogs.batch_query,
    "GenieDialog_save": dialog_settings.save,
    "GenieDialog_restore": dialog_settings.restore,
    "GenieDialog_reset": dialogs.reset,
    "GenieDialog_getSampler": partial(dialogs.borrow, which="sampler"),
    "GenieDialog_getTokenizer": partial(dialogs.borrow, which="tokenizer"),
    "GenieDialog_setStopSequence": dialog_settings.set_stop_sequence,
    "GenieDialog_signal": dialogs.signal,
    "GenieDialog_setPriority": dialog_settings.set_text,
    "GenieDialog_setOemKey": dialog_settings.set_text,
    "GenieDialog_setPerformancePolicy": dialog_settings.set_policy,
    "GenieDialog_getPerformancePolicy": dialog_settings.get_policy,
    "GenieDialog_setMaxNumTokens": dialog_settings.set_max_num_tokens,
    "GenieDialog_getValue": dialog_settings.get_value,
    "GenieDialog_setGrammar": dialog_settings.set_grammar,
    "GenieDialog_free": dialogs.free,
    "GenieDlcConfig_create": nodes.create_dlc_config,
    "GenieNode_create": encoder.create_node,
    "GenieNode_free": encoder.free_node,
    "GenieNode_setEmbeddingCallback": encoder.set_embedding_callback,
    "GenieNode_setData": encoder.set_data,
    **dict.fromkeys(
        ("GenieNode_getSampler", "GenieNode_getTokenizer", "GenieNode_getEngine"),
        encoder.borrow_nothing,
    ),
    "GeniePipeline_create": encoder.create_pipeline,
    "GeniePipeline_addNode": encoder.add_node,
    "GeniePipeline_connect": encoder.connect,
    "GeniePipeline_execute": encoder.execute,
    "GeniePipeline_reset": encoder.reset_pipeline,
    "GeniePipeline_free": encoder.free_pipeline,
    "GeniePerformance_create": nodes.create_performance,
}

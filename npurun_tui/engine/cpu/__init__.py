"""The dialog contract over llama.cpp: the same workbench on a machine without the NPU.

`gguf` reads a model file's metadata, `server` owns the llama.cpp server loop of `xllamacpp`, `dialog`
gives it Genie's semantics at token level. Only this package imports `xllamacpp`, and only when a model is
loaded, in the engine's child process.
"""

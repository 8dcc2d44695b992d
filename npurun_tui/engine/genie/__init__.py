"""The dialog contract over Qualcomm's Genie: the NPU engine.

`discovery` finds the runtime and `environment` makes it loadable; `library` opens it with cffi and `dialog` gives
it the contract; `rules` is the table of releases and their defects, each with its source. cffi is imported when a
library is opened, in the engine's child process, and the library itself only then.
"""

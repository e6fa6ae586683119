"""Which libraries have a part in what is heard, for the identity of an engine.

Read off the metadata of installed packages; none is imported. Each of them decides on words: PyAV decodes, resamples
and mixes down, faster-whisper brings the voice activity model, the features and the prompts, CTranslate2 computes.

What surprises: an upgrade of one makes every transcript anew. That is what a version of a transcript promises.
"""

from importlib.metadata import version

FRONT_END = ("av", "faster-whisper")
"""What cuts windows out of a file, for an engine on another machine too."""
ENGINE = (*FRONT_END, "ctranslate2")


def versions(packages: tuple[str, ...]) -> dict[str, str | int | float | bool]:
    """Give the installed version of each package, as an engine's parameters."""
    return {package: version(package) for package in packages}

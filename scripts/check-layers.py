#!/usr/bin/env python3
"""Checks that the includes of src/ point only down, as ARCHITECTURE.md draws the layers.

A file may include its own layer and those named for it below; everybody may include
hinet.h, and the program nothing else of the library.
"""

import pathlib
import re
import sys

MAY_INCLUDE = {
    "base": set(),
    "kernel": {"base"},
    "graph": {"base", "kernel"},
    "model": {"base", "kernel", "graph"},
    "data": {"base"},
    "online": {"base", "data"},
    "bundle": {"base", "kernel", "graph", "model", "data"},
    "train": {"base", "kernel", "graph", "model", "data", "bundle"},
    "serve": {"base", "kernel", "graph", "model", "data", "online", "bundle"},
    "simulate": {"base"},
    "report": {"base", "kernel", "graph", "model", "data", "bundle", "train"},
    "experiment": {"base", "data", "online"},
    "cli": set(),
}
GENERATED = "commit.h"  # by the build, for the program
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', re.MULTILINE)


def complaints(source, layer, root):
    """What is wrong with one file's includes, a sentence each."""
    text = source.read_text(encoding="utf-8")
    for match in INCLUDE.finditer(text):
        included = match.group(1)
        where = f"{source.relative_to(root)}:{text.count(chr(10), 0, match.start(1)) + 1}"
        if included == "hinet.h" or (layer == "cli" and included == GENERATED):
            continue
        target = included.split("/")[0] if "/" in included else None
        if not (root / "src" / included).is_file():
            yield f'{where}: "{included}" is not a path below src/; write "layer/file.h"'
        elif target != layer and target not in MAY_INCLUDE[layer]:
            allowed = ", ".join(sorted(MAY_INCLUDE[layer] | {layer}))
            yield f'{where}: {layer} may not include "{included}"; it may include {allowed}'


def check(root):
    found, files = [], 0
    for folder in sorted((root / "src").iterdir()):
        if folder.name not in MAY_INCLUDE:
            found.append(f"src/{folder.name}: is no layer that scripts/check-layers.py knows")
            continue
        for source in sorted(folder.rglob("*.[ch]")):
            files += 1
            found += complaints(source, folder.name, root)
    return found, files


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else __file__).resolve()
    root = root if root.is_dir() else root.parent.parent
    found, files = check(root)
    for line in found:
        print(line, file=sys.stderr)
    if files == 0:
        print(f"{root}/src: no sources found", file=sys.stderr)
    return 1 if found or files == 0 else 0


if __name__ == "__main__":
    sys.exit(main())

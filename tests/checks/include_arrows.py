#!/usr/bin/env python3
"""Keeps the arrows between the rooms: fails when an include crosses the wrong way (docs/architecture.md).

Usage: include_arrows.py [ROOT]

Rules: app -> gui, render, generator; generator -> quant; nobody -> app; gui and render never see torch; quant and generator never see
Vulkan, Dear ImGui or GLFW. Headers in <room>/plain/ may be included by every room, and include only the standard library and other
plain headers. Quoted includes are written from the repository root and must exist (or be made by the build: shaders/*.spv.hpp).
"""

import re
import sys
from pathlib import Path

ROOMS = ("app", "gui", "render", "generator", "quant")
MAY_INCLUDE = {
    "app": {"app", "gui", "render", "generator"},
    "gui": {"gui"},
    "render": {"render"},
    "generator": {"generator", "quant"},
    "quant": {"quant"},
}
TORCH = re.compile(r"^(torch|ATen|c10|caffe2)/")
WINDOW = re.compile(r"^(vulkan/|GLFW/|imgui|implot|backends/imgui)")
FORBIDDEN = {"gui": (TORCH, "torch"), "render": (TORCH, "torch"), "quant": (WINDOW, "a window library"), "generator": (WINDOW, "a window library")}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
SUFFIXES = {".cpp", ".hpp", ".h", ".cu", ".cuh"}
MADE_BY_BUILD = re.compile(r"^shaders/[\w.]+\.spv\.hpp$")


def is_plain(path):
    return "plain" in Path(path).parts[:-1]


def check_include(file, quote, target, root):
    """The complaint about one include of `file` (a path relative to root), or None."""
    room = file.parts[0]
    if quote == '"':
        if MADE_BY_BUILD.match(target):
            return None if room in ("render", "app") else f"shaders belong to render, not to {room}"
        if not (root / target).is_file():
            return f'"{target}" does not exist (quoted includes are written from the repository root)'
    pattern, name = FORBIDDEN.get(room, (None, ""))
    if pattern and pattern.match(target):
        return f"{room} must not include {name}"
    if quote == "<":
        if is_plain(file) and file.suffix in (".hpp", ".h") and not re.fullmatch(r"[a-z_0-9]+", target):
            return f"a plain header includes only the standard library and plain headers, not <{target}>"
        if is_plain(file) and TORCH.match(target):
            return "plain code must not include torch"
        return None
    other = target.split("/")[0]
    if other == "tests" and room in ROOMS:
        return "the program must not include tests"
    if is_plain(file) and not is_plain(target) and file.suffix in (".hpp", ".h"):
        return f'a plain header includes only the standard library and plain headers, not "{target}"'
    if room in MAY_INCLUDE and other in ROOMS and other not in MAY_INCLUDE[room] and not is_plain(target):
        return f"{room} must not include {other}"
    return None


def complaints(root):
    """All complaints below root, as 'file:line: text'; and how many files were read."""
    found, count = [], 0
    for folder in ROOMS + ("tests",):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix not in SUFFIXES or not path.is_file():
                continue
            count += 1
            file = path.relative_to(root)
            for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
                match = INCLUDE.match(line)
                complaint = check_include(file, match[1], match[2], root) if match else None
                if complaint:
                    found.append(f"{file}:{number}: {complaint}")
    return found, count


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    found, count = complaints(root)
    print("\n".join(found))
    if count == 0:
        sys.exit(f"include_arrows: no source file below {root}")
    print(f"include_arrows: {count} files, {len(found)} wrong includes")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Unpacks from the imgui-bundle source archive only what Wander builds: Dear ImGui, ImPlot, GLFW, the file dialogs, the fonts.

Usage: unpack_imgui.py ARCHIVE.tar.gz TARGET
The whole archive holds 53 MB packed; what is kept is about 10 MB. Licence files travel with every part.
"""

import sys
import tarfile
from pathlib import Path

TOP = "imgui_bundle-1.93.0/"
KEEP = {
    "external/imgui/imgui/": "imgui/",
    "external/implot/implot/": "implot/",
    "external/glfw/glfw/": "glfw/",
    "external/portable_file_dialogs/portable_file_dialogs/": "portable_file_dialogs/",
    "bindings/imgui_bundle/assets/fonts/Roboto/": "fonts/Roboto/",
    "bindings/imgui_bundle/assets/fonts/Inconsolata-": "fonts/Inconsolata-",
    "bindings/imgui_bundle/assets/fonts/Font_Awesome_6_Free-Solid-900.otf": "fonts/Font_Awesome_6_Free-Solid-900.otf",
    "external/hello_imgui/hello_imgui/hello_imgui_assets/fonts/LICENSE-FontAwesome.txt": "fonts/LICENSE-FontAwesome.txt",
    "LICENSE": "LICENSE-imgui-bundle.txt",
}
# misc/fonts holds ImGui's own samples; tests, docs and examples of GLFW and ImGui are never built.
DROP = ("imgui/examples/", "imgui/docs/", "imgui/misc/", "glfw/docs/", "glfw/tests/", "glfw/examples/", "implot/example/")


def destination(name):
    """The path below TARGET for one archive member, or None when it is not kept."""
    if not name.startswith(TOP):
        return None
    name = name[len(TOP):]
    for source, target in KEEP.items():
        if name == source or (name.startswith(source) and source.endswith(("/", "-"))):
            path = target + name[len(source):]
            return None if path.startswith(DROP) or ".." in path.split("/") else path
    return None


def main():
    archive, target = Path(sys.argv[1]), Path(sys.argv[2])
    count = 0
    with tarfile.open(archive) as bundle:
        for member in bundle:
            path = destination(member.name)
            if path is None or not member.isfile():
                continue
            out = target / path
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_bytes(bundle.extractfile(member).read())
            count += 1
    for needed in ("imgui/imgui.cpp", "implot/implot.cpp", "glfw/CMakeLists.txt", "fonts/Inconsolata-Medium.ttf"):
        if not (target / needed).is_file():
            sys.exit(f"unpack_imgui: {archive} has no {needed}: is it imgui-bundle 1.93.0?")
    print(f"unpacked {count} files")


if __name__ == "__main__":
    main()

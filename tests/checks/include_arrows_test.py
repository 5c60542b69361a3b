#!/usr/bin/env python3
"""Shows that include_arrows.py sees every kind of wrong include, and lets right ones pass."""

import tempfile
import unittest
from pathlib import Path

import include_arrows


class IncludeArrows(unittest.TestCase):
    def complaints(self, files):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in files.items():
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            return include_arrows.complaints(Path(folder))[0]

    def test_right_ways_pass(self):
        files = {
            "app/a.cpp": '#include "generator/g.hpp"\n#include "gui/p.hpp"\n#include "quant/plain/l.hpp"\n#include <CLI/CLI.hpp>\n',
            "generator/g.hpp": '#include "quant/q.hpp"\n#include <torch/torch.h>\n',
            "gui/p.hpp": '#include "quant/plain/l.hpp"\n#include <imgui.h>\n',
            "quant/q.hpp": "#include <vector>\n",
            "quant/plain/l.hpp": "#include <cstdint>\n",
            "render/r.cpp": '#include "shaders/present.frag.spv.hpp"\n#include <vulkan/vulkan.h>\n',
        }
        self.assertEqual(self.complaints(files), [])

    def test_wrong_ways_are_seen(self):
        wrong = {
            "quant -> generator": {"quant/a.cpp": '#include "generator/g.hpp"\n', "generator/g.hpp": ""},
            "gui -> render": {"gui/a.cpp": '#include "render/r.hpp"\n', "render/r.hpp": ""},
            "generator -> app": {"generator/a.cpp": '#include "app/a.hpp"\n', "app/a.hpp": ""},
            "app -> quant": {"app/a.cpp": '#include "quant/q.hpp"\n', "quant/q.hpp": ""},
            "render -> torch": {"render/a.cpp": "#include <torch/torch.h>\n"},
            "gui -> c10": {"gui/a.hpp": "#include <c10/core/Device.h>\n"},
            "quant -> vulkan": {"quant/a.cu": "#include <vulkan/vulkan.h>\n"},
            "generator -> imgui": {"generator/a.cpp": "#  include <imgui.h>\n"},
            "plain header -> json": {"gui/plain/a.hpp": "#include <nlohmann/json.hpp>\n"},
            "plain header -> other": {"gui/plain/a.hpp": '#include "gui/b.hpp"\n', "gui/b.hpp": ""},
            "plain source -> torch": {"quant/plain/a.cpp": "#include <ATen/ATen.h>\n"},
            "not from the root": {"gui/a.cpp": '#include "b.hpp"\n', "gui/b.hpp": ""},
            "program -> tests": {"app/a.cpp": '#include "tests/t.hpp"\n', "tests/t.hpp": ""},
        }
        for name, files in wrong.items():
            with self.subTest(name):
                self.assertEqual(len(self.complaints(files)), 1)


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/env python3
"""Writes generator/text/plain/text_tables.inc: what cleaning a prompt needs of the Unicode data and of HTML's entity names.

Usage: make_text_tables.py [--check]
With --check nothing is written: the file must be what this Python's tables give. Where Python knows another Unicode version than the file was
made from, only the tables that no version changes are compared. The tables are small (no Unicode library is needed on any machine), and what they
say of a character never changes once it exists.
"""

import html
import html.entities
import sys
import unicodedata
from pathlib import Path

FILE = Path(__file__).resolve().parent.parent / "generator/text/plain/text_tables.inc"


def rows(entries, width=118):
    """Entries joined into lines of at most `width` characters."""
    lines, line = [], ""
    for entry in entries:
        if line and len(line) + len(entry) + 1 > width:
            lines.append(line)
            line = ""
        line += (" " if line else "") + entry
    return "\n".join(lines + [line])


def table(kind, name, comment, entries):
    return f"\n// {comment}\ninline constexpr {kind} {name}[] = {{\n{rows(entries)}\n}};\n"


def codes(text, count):
    if len(text) > count:
        sys.exit(f"make_text_tables: {text!r} has more than {count} characters")
    return ", ".join(f"0x{ord(c):X}" for c in text) + ", 0" * (count - len(text))


def decompositions():
    for code in range(0x110000):
        mapping = unicodedata.decomposition(chr(code))
        if mapping and not mapping.startswith("<"):
            parts = [int(part, 16) for part in mapping.split()]
            composes = len(parts) == 2 and unicodedata.normalize("NFC", chr(code)) == chr(code)
            yield f"{{0x{code:X}, 0x{parts[0]:X}, {f'0x{parts[1]:X}' if len(parts) == 2 else '0'}, {int(composes)}}},"


def combining_classes():
    first, last, current = 0, -1, 0
    for code in range(0x110001):
        value = unicodedata.combining(chr(code)) if code < 0x110000 else 0
        if value == current and code == last + 1:
            last = code
            continue
        if current:
            yield f"{{0x{first:X}, 0x{last:X}, {current}}},"
        first, last, current = code, code, value


def entities():
    names = html.entities.html5
    for name in sorted(name[:-1] for name in names if name.endswith(";")):
        yield f'{{"{name}", {codes(names[name + ";"], 2)}, {int(name in names)}}},'


def capitals():
    """Capital forms of the characters that names in small letters stand for."""
    found = {}
    for name, value in html.entities.html5.items():
        if name.endswith(";") and name == name.lower():
            found.update({c: c.upper() for c in value if c.upper() != c})
    return (f"{{0x{ord(c):X}, {codes(upper, 3)}}}," for c, upper in sorted(found.items()))


def widths():
    for code in range(0xFF01, 0xFFF0):
        yield f"{{{codes(unicodedata.normalize('NFKC', chr(code)), 2)}}},"


def content():
    return (
        f"// Made by tools/make_text_tables.py from the Unicode Character Database {unicodedata.unidata_version} and HTML's named character references.\n"
        + table("Decomposition", "kDecompositions", "Canonical decomposition of one step; the last column: is it taken back by composition?", decompositions())
        + table("CombiningRange", "kCombiningRanges", "Canonical combining classes other than 0.", combining_classes())
        + table("FullWidth", "kFullWidths", "Compatibility forms of U+FF01 to U+FFEF.", widths())
        + table("Entity", "kEntities", "Sorted by name. The last column: valid without a semicolon too.", entities())
        + table("Capital", "kCapitals", "Capital letters of what entity names in small letters stand for.", capitals())
    )


def main():
    text = content()
    if "--check" not in sys.argv[1:]:
        FILE.write_text(text)
        print(f"{FILE.name}: {len(text)} bytes")
        return
    have, want = FILE.read_text().splitlines(), text.splitlines()
    if have[0] != want[0]:
        print(f"Unicode {unicodedata.unidata_version} here, another in {FILE.name}: only the names and widths are compared")
        have, want = (lines[next(i for i, line in enumerate(lines) if "kFullWidths" in line):] for lines in (have, want))
    if have != want:
        sys.exit(f"make_text_tables: {FILE.name} is not what this script writes; run it")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Writes generator/text/plain/byte_pair_letters.inc: which characters are letters and which are numbers, for the byte-pair tokenizer's splitting rule.

Usage: make_letter_tables.py [--check]
With --check nothing is written: the file must be what this Python's tables give, where it knows the Unicode version that the file was made from.
"""

import sys
import unicodedata
from pathlib import Path

sys.dont_write_bytecode = True
from make_text_tables import table  # noqa: E402

FILE = Path(__file__).resolve().parent.parent / "generator/text/plain/byte_pair_letters.inc"


def ranges(category):
    first = None
    for code in range(0x110001):
        is_one = code < 0x110000 and unicodedata.category(chr(code)).startswith(category)
        if is_one and first is None:
            first = code
        elif not is_one and first is not None:
            yield f"{{0x{first:X}, 0x{code - 1:X}}},"
            first = None


def content():
    return (
        f"// Made by tools/make_letter_tables.py from the Unicode Character Database {unicodedata.unidata_version}.\n"
        + table("CharacterRange", "kLetters", "General category L.", ranges("L"))
        + table("CharacterRange", "kNumbers", "General category N.", ranges("N"))
    )


def main():
    text = content()
    if "--check" not in sys.argv[1:]:
        FILE.write_text(text)
        print(f"{FILE.name}: {len(text)} bytes")
        return
    have = FILE.read_text()
    if have.splitlines()[0] != text.splitlines()[0]:
        print(f"Unicode {unicodedata.unidata_version} here, another in {FILE.name}: nothing is compared")
    elif have != text:
        sys.exit(f"make_letter_tables: {FILE.name} is not what this script writes; run it")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Writes canonical-forms.txt, the Unicode data that CanonicalForm.cs needs, from Python's unicodedata.

Lines: `c FIRST LAST CLASS` for a run of code points of one non-zero combining class, and `d CODE FIRST [SECOND]` for a canonical
decomposition, `x` in place of `d` where it must never be composed again. Hangul is not listed: it is computed.
"""
import pathlib
import unicodedata

lines = [f"# Unicode {unicodedata.unidata_version}: canonical combining classes and decompositions; made by canonical-forms.py"]
run = None
for code in range(0x110000 + 1):
    combining = unicodedata.combining(chr(code)) if code < 0x110000 else 0
    if run and run[2] != combining:
        lines.append(f"c {run[0]:X} {run[1]:X} {run[2]}")
        run = None
    if combining:
        run = (run[0] if run else code, code, combining)
for code in range(0x110000):
    decomposition = unicodedata.decomposition(chr(code))
    if decomposition and not decomposition.startswith("<"):
        parts = "".join(chr(int(part, 16)) for part in decomposition.split())
        kind = "d" if unicodedata.normalize("NFC", parts) == chr(code) else "x"
        lines.append(f"{kind} {code:X} {decomposition}")
pathlib.Path(__file__).with_suffix(".txt").write_text("\n".join(lines) + "\n", encoding="ascii")

#!/usr/bin/env python3
"""Writes canonical-forms.txt, the Unicode data that CanonicalForm.cs needs, from Python's unicodedata.

Only what Unicode 9 assigned is written, the version that the Rust core's normal forms have: those code points have
never changed since. Which they are says unicode-sets.txt.

Lines: `c FIRST LAST CLASS` for a run of code points of one non-zero combining class, and `d CODE FIRST [SECOND]` for
a canonical decomposition, `x` in place of `d` where it must never be composed again, `k CODE PARTS…` for a compatible
one. Hangul is not listed: it is computed.
"""
import pathlib
import unicodedata

here = pathlib.Path(__file__)
sets = here.with_name("unicode-sets.txt").read_text(encoding="ascii")
unassigned = set()
for word in sets.split("= Unassigned_9\n")[1].split("\n> ")[0].split("\n= ")[0].split():
    first, last = (word.split("-") * 2)[:2]
    unassigned.update(range(int(first, 16), int(last, 16) + 1))
lines = ["# Unicode 9: combining classes and decompositions; made by canonical-forms.py"]
run = None
for code in range(0x110000 + 1):
    combining = unicodedata.combining(chr(code)) if code < 0x110000 and code not in unassigned else 0
    if run and run[2] != combining:
        lines.append(f"c {run[0]:X} {run[1]:X} {run[2]}")
        run = None
    if combining:
        run = (run[0] if run else code, code, combining)
for code in range(0x110000):
    decomposition = unicodedata.decomposition(chr(code)) if code not in unassigned else ""
    if decomposition.startswith("<"):
        lines.append(f"k {code:X} {decomposition.split('> ')[1]}")
    elif decomposition:
        parts = "".join(chr(int(part, 16)) for part in decomposition.split())
        kind = "d" if unicodedata.normalize("NFC", parts) == chr(code) else "x"
        lines.append(f"{kind} {code:X} {decomposition}")
here.with_suffix(".txt").write_text("\n".join(lines) + "\n", encoding="ascii")

"""Prints one table of the figures that benches have noted: table.py FIGURES.jsonl.

Each line of the file is an object: bench, what, who, and figures by name.
"""
import json
import sys

with open(sys.argv[1]) as lines:
    found = [json.loads(line) for line in lines]
names = list(dict.fromkeys(name for figure in found for name in figure["figures"]))
rows = [["bench", "what", "who", *names]]
for figure in found:
    cells = [figure["figures"].get(name) for name in names]
    rows.append([figure["bench"], figure["what"], figure["who"], *("" if cell is None else f"{cell:,.3f}" for cell in cells)])
widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
for row in rows:
    texts = [text.ljust(width) for text, width in zip(row[:3], widths)]
    numbers = [text.rjust(width) for text, width in zip(row[3:], widths[3:])]
    print("  ".join(texts + numbers))

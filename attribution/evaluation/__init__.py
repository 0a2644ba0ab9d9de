"""Evaluation: how good rankings and detectors are. One question a file; the numbers come from `attribution.metrics`.

All modules have one scheme, and a function that is not needed is left out:
- `STORED = Part(...)` says what is stored: the part's name, its file, and what makes it out of date.
- `compute(workspace, ...)` measures, and returns a dict ready for JSON, or arrays in a dataclass.
- `save(workspace, answer, provenance)` stores that as a part of the workspace; `load(workspace)` returns it, or None
  where nothing is stored or what it was computed on has changed.
- `report(...)` turns arrays, or supports from the store, into the JSON that the command line prints.
- `check_...` refuses what cannot be measured before the work starts; `support_aucs` and `..._rows` add what stands
  beside an answer on pages.
"""

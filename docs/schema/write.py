"""Write the JSON Schemas of the documents beside this file: `python -m docs.schema.write`."""

from pathlib import Path

from kvdemo.documents import schema

for kind in schema.KINDS:
    Path(__file__).with_name(f"{kind}.json").write_text(schema.published(kind), encoding="utf-8")

"""Write the documents' JSON Schemas beside this file, and the browser's types: `python -m docs.schema.write`."""

from pathlib import Path

from docs.schema import typescript
from kvdemo.documents import schema

for kind in schema.KINDS:
    Path(__file__).with_name(f"{kind}.json").write_text(schema.published(kind), encoding="utf-8")
typescript.FILE.write_text(typescript.declarations(), encoding="utf-8")

"""Define the documents that kvdemo writes, as types: what a script that reads them can rely on.

`race`, `measure`, `inside`, `plan` and `comparison` describe a kind of document each, `common` what they share,
`candidates` what a token was chosen from; `settings` takes what is declared in `kvdemo.core`. They are typed
dictionaries: a document is the dictionary that `json.dumps` takes. `schema` makes JSON Schemas of them, and checks
documents.

Times are in seconds, sizes in bytes, where a name does not say otherwise.
"""

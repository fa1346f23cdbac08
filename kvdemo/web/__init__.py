"""Show the page: a form, a stage on which the race is drawn, and the exports.

Nothing in this package knows how a token is computed. `app.py` passes it a `Backend`, which the server implements.
Everything that the page shows comes from its methods, a race as the events of `kvdemo.core.events`:

    backend.py       what the page asks of the server
    page.py          the header, the tabs, and what happens when the page opens
    tabs/            for each tab its layout, its form and its events
    components/      fields, elements drawn by the browser, lines that follow a form, files to download
    words/           what each number, term and strategy means
    run_streams.py   who runs what, and who still listens
    wire.py          event -> line of text: the wire format that the browser draws; beams.py has the trees of searches
    links.py         query parameters <-> form
    api/             the same runs and lists for programs
    guard/           who may ask for what: sizes, uploads, headers, listeners
    gradio_patches/  what Gradio does otherwise by itself
    theme.py         launch options: fonts, colours
    frontend/        the browser's half, ES modules in folders beside what they draw; frontend/main.js registers them
    assets.py        serves frontend/ under an address with a content hash
"""

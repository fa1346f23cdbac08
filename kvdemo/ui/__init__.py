"""The page: a form, a stage on which the race is drawn, and the exports.

Nothing in this package knows how a token is made. `app.py` hands it a `Backend`, a handful of callables, and
everything that the page shows comes through them as the events of `kvdemo.core`:

    backend.py      what the page asks of the engine
    page.py         the header, the tabs, and what happens when the page opens
    race_tab.py     layout and wiring of a tab      measure_tab.py, compare_tab.py, plan_tab.py
    controls.py     the race's form                 measure_form.py; examples.py  prompts to start from
    inputs.py       the fields that several forms have
    asking.py       lines and drawings that follow a form
    handlers.py     what happens on an event        pure generators, tested without a server
    stage.py        event -> line of text           the wire format that the browser draws
    links.py        query parameters <-> form
    definitions.py  what each number means
    exports.py      the files to download
    api.py          the same race for programs
    theme.py        launch options: fonts, colours, scripts
    static/         the browser's half: parse, draw, inspect
"""

// What an element hands to the Gradio event that it fires: the event's inline script reads it here, as kvdemo.given.

/** @type {Given} */
export const given = { picked: null, tokens: null, run: null, question: (values) => values, handed: (values) => values, kept: (values) => values };

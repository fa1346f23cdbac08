// What an element hands to the Gradio event that it fires: the event's inline script reads it here, as kvdemo.given.

export const given = {
  /** The value of the chip that was pressed. */
  picked: null,
  /** The number of tokens that would fit. */
  tokens: null,
  /** The measurement to show. */
  run: null,
};

// Colours of tokens.css for what is not drawn by style sheets, and the event of light turning dark.

export const onTheme = (callback) =>
  new MutationObserver(callback).observe(document.body, { attributes: true, attributeFilter: ["class"] });
export const cssColor = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();
export const laneColor = (index) => `--kv-lane-${index % 6}`;

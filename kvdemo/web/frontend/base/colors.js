// Colours of styles/tokens.css for what is not drawn by style sheets, and the event of light turning dark.

/** @param {() => void} callback */
export const onTheme = (callback) =>
  new MutationObserver(callback).observe(document.body, { attributes: true, attributeFilter: ["class"] });
/** @param {string} name a custom property */
export const cssColor = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();
/** @param {number} index a lane's */
export const laneColor = (index) => `--kv-lane-${index % 6}`;

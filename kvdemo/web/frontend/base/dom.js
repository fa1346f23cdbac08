// Elements and text nodes. Text stays text: nothing here reads markup.

/**
 * An element with attributes and children. Strings become text nodes, never markup; an attribute `on...` is a listener.
 * @param {string} tag
 * @param {Record<string, any>} [attributes] null, undefined and false are left out, true is an attribute without a value
 * @param {(Node | string | null | undefined)[]} children null and undefined are left out
 * @returns {any} an HTMLElement, to which the modules also pin what it stands for
 */
export const el = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
};

/**
 * Writes text only where it changed, which keeps selections and spares the layout.
 * @param {Element} element
 * @param {string} text
 */
export const write = (element, text) => {
  if (element.textContent !== text) element.textContent = text;
};

/**
 * Calls back with the element once Gradio has put it on the page; gives up after five seconds.
 * @param {string} id
 * @param {(element: any) => void} act
 */
export const whenThere = (id, act, tries = 100) => {
  const found = document.getElementById(id);
  if (found) act(found);
  else if (tries) setTimeout(() => whenThere(id, act, tries - 1), 50);
};

/** Where floating cards go: inside the element that has the page's font and colours. */
export const showFloating = (card) => (document.querySelector(".gradio-container .contain") ?? document.body).append(card);

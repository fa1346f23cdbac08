// Elements and text nodes. Text stays text: nothing here reads markup.

/**
 * An element with attributes and children. Strings become text nodes, never markup; an attribute `on...` is a listener.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Attributes} [attributes]
 * @param {Child[]} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export const el = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
};

/**
 * Puts what is drawn into the empty block that is the template of a Gradio element.
 * @param {HTMLElement} element
 * @param {Node} drawn
 */
export const mount = (element, drawn) => (element.firstElementChild ?? element).replaceChildren(drawn);

/**
 * The items without those that are null or undefined.
 * @template Item
 * @param {(Item | null | undefined)[]} items
 */
export const present = (items) => items.filter((item) => item !== null && item !== undefined);

/**
 * The first element within another that matches; null where there is none.
 * @param {ParentNode} element
 * @param {string} selector
 * @returns {HTMLElement | null}
 */
export const find = (element, selector) => element.querySelector(selector);

/**
 * The element that an event is about, or the one around it that matches; null where there is none.
 * @param {Event} event
 * @param {string} selector
 * @returns {HTMLElement | null}
 */
export const targetOf = ({ target }, selector) => (target instanceof Element ? target.closest(selector) : null);

/**
 * Whether an event happened in an element, or in something within it.
 * @param {Event} event
 * @param {Element | null | undefined} element
 */
export const within = ({ target }, element) => Boolean(element && target instanceof Node && element.contains(target));

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
 * @param {(element: HTMLElement) => void} act
 */
export const whenThere = (id, act, tries = 100) => {
  const found = document.getElementById(id);
  if (found) act(found);
  else if (tries) setTimeout(() => whenThere(id, act, tries - 1), 50);
};

/**
 * Where floating cards go: inside the element that has the page's font and colours.
 * @param {HTMLElement} card
 */
export const showFloating = (card) => (document.querySelector(".gradio-container .contain") ?? document.body).append(card);

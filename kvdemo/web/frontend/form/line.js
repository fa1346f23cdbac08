// A line of text under a control.
import { el, mount, write } from "../base/dom.js";

/** A line of text under a control.
 * @type {DrawElement<string | null, null>} */
export const drawLine = (element, props, watch) => {
  const line = el("p", { class: "kv-said", role: "status", dir: "auto" });
  mount(element, line);
  const take = () => write(line, props.value ?? "");
  watch("value", take);
  take();
};

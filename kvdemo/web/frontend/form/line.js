// A line of text under a control.
import { el, write } from "../base/dom.js";

/** A line of text under a control. */
export const drawLine = (element, props, watch) => {
  const line = el("p", { class: "kv-said", role: "status", dir: "auto" });
  element.firstElementChild.replaceChildren(line);
  const take = () => write(line, props.value ?? "");
  watch("value", take);
  take();
};

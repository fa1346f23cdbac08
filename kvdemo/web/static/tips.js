// Definitions: one small card that any labelled number can show, on hover, focus or tap.
(() => {
  const kv = window.kvdemo;
  let card = null;
  let owner = null;

  /** Puts a fixed card next to `anchor`, above it where there is room, inside the window always. */
  kv.place = (floating, anchor) => {
    const box = anchor.getBoundingClientRect();
    const { offsetWidth: width, offsetHeight: height } = floating;
    const left = Math.min(Math.max(8, box.left + box.width / 2 - width / 2), innerWidth - width - 8);
    const above = box.top - height - 8;
    floating.style.left = `${left}px`;
    floating.style.top = `${above >= 8 ? above : Math.min(box.bottom + 8, innerHeight - height - 8)}px`;
  };

  const hide = () => {
    card?.remove();
    owner?.removeAttribute("aria-describedby");
    card = owner = null;
  };

  const show = (target, { title, text, also }) => {
    hide();
    owner = target;
    card = kv.el(
      "div", { class: "kv-tip", role: "tooltip", id: "kv-tip" },
      title ? kv.el("strong", {}, title) : null,
      kv.el("span", {}, text),
      also ? kv.el("small", {}, `Elsewhere: ${also}`) : null,
    );
    kv.float(card);
    target.setAttribute("aria-describedby", "kv-tip");
    kv.place(card, target);
  };

  /** Makes `target` explain itself. `content` is { title, text, also }. */
  kv.explain = (target, content) => {
    if (!content?.text) return target;
    target.addEventListener("pointerenter", () => show(target, content));
    target.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && hide());
    target.addEventListener("focus", () => show(target, content));
    target.addEventListener("blur", hide);
    target.addEventListener("click", () => show(target, content));
    return target;
  };

  /** A number's label: a button, so that the keyboard and a thumb reach its definition. */
  kv.term = (definition, label = definition.name) =>
    kv.explain(kv.el("button", { type: "button", class: "kv-term" }, label), {
      title: definition.long, text: definition.text, also: definition.also,
    });

  document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
  document.addEventListener("pointerdown", (event) => owner && !owner.contains(event.target) && hide());
  /** The keyboard brings what it reaches into view, and the card goes along; a mouse has moved on to something else. */
  const follow = () => {
    const { top, bottom } = owner.getBoundingClientRect();
    if (document.activeElement === owner && bottom > 0 && top < innerHeight) kv.place(card, owner);
    else hide();
  };
  addEventListener("scroll", () => owner && follow(), true);
})();

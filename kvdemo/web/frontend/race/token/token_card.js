// One token under the magnifying glass: what it cost, how likely it was, and what the step read to produce it.
import { laneColor } from "../../base/colors.js";
import { el, showFloating, targetOf, within } from "../../base/dom.js";
import { format } from "../../base/format.js";
import { quote } from "../../base/token_text.js";
import { place } from "../../base/explain/tooltip.js";
import { candidatesOf } from "./candidates.js";
import { chosenFrom, chosenHow } from "./chosen_from.js";
import { mark, unmark } from "../marked_step.js";

/** @typedef {import("../lanes/lane.js").Lane} Lane */
/** @typedef {import("../wire.js").Race} Race */
/** @typedef {import("../lanes/lane.js").Token} Token */
/** @typedef {{ pinned?: boolean, aloud?: boolean }} How the card stays until it is closed, and is spoken */

/** Positions that the step had in front of it: the prompt and every token committed before.
 * @type {(race: Race, token: Token) => number} */
const context = (race, token) => race.start.prompt_tokens + token.first;

/** What the step read, as prompt and the lane's own writing before it.
 * @type {(race: Race, lane: Lane, token: Token) => string} */
const textBefore = (race, lane, token) =>
  race.start.prompt_text + lane.tokens.slice(0, token.first).map((t) => t.written).join("");

/** @type {(computed: number, total: number) => HTMLElement} */
const share = (computed, total) => el("div", { class: "kv-share", "aria-hidden": "true" },
  el("i", { style: `width: ${Math.min(100, Math.max(1.5, (100 * computed) / total))}%` }));

/** @type {(race: Race, lane: Lane, token: Token) => string} */
const sentence = (race, lane, token) => {
  if (lane.elsewhere) return "Another machine computed it: what it ran and what it had kept cannot be seen from here.";
  const total = context(race, token);
  const { count } = format;
  if (token.first === 0 && token.bytes && token.positions < total) {
    return `The prompt: ${count(total - token.positions)} of its positions were kept from an earlier race, ${count(token.positions)} computed.`;
  }
  if (token.first === 0) {
    const kept = token.bytes ? ", and the cache holds what later tokens need of it" : "";
    return `The prompt: all ${count(token.positions)} positions computed${kept}.`;
  }
  if (!token.bytes) {
    const differs = token.positions !== total
      ? ` The text read here makes ${count(token.positions)} tokens, though ${count(total)} were written.` : "";
    return `Everything again: ${count(token.positions)} positions computed, nothing reused.${differs}`;
  }
  const fresh = `${count(token.positions)} new position${token.positions === 1 ? "" : "s"}`;
  return `${fresh}; ${count(token.read)} came from the cache.`;
};

/** @type {(label: string, value: string, note?: string) => Node[]} */
const fact = (label, value, note) => [el("dt", {}, label), el("dd", {}, value, note ? el("small", {}, note) : null)];

/** @type {(lane: Lane, token: Token) => HTMLElement} */
const facts = (lane, token) => {
  const shared = token.size > 1 ? ` of a ${token.size}-token step` : "";
  const { positions, bytes } = lane.elsewhere ? { positions: null, bytes: null } : token;
  return el(
    "dl", {},
    ...fact("Token id", token.id < 0 ? format.none : String(token.id)),
    ...fact("Latency", format.seconds(token.seconds), shared),
    ...fact("Probability", format.percent(token.probability)),
    ...fact("Positions", format.count(positions)),
    ...fact("Cache", format.bytes(bytes)),
  );
};

/** @type {(race: Race, lane: Lane, token: Token) => HTMLElement} */
const reading = (race, lane, token) => {
  if (lane.elsewhere) return el("div", { class: "kv-read" }, el("p", {}, sentence(race, lane, token)));
  const whole = !token.bytes;
  const box = el("div", { class: "kv-read" },
    el("p", {}, el("b", {}, "This step read. "), sentence(race, lane, token)),
    share(token.positions, Math.max(token.positions, context(race, token))));
  if (whole || token.first === 0) {
    const text = token.first === 0 ? race.start.prompt_text : textBefore(race, lane, token);
    box.append(el("pre", { tabindex: "0", dir: "auto", "aria-label": "Text that this step read" }, text));
  }
  return box;
};

/** A pointer that passes over a token asks nothing: it must stay for so many milliseconds. */
const STAYS = 120;
const UNANSWERED = "The server does not answer: point at the token again.";

class Inspector {
  /** The token that is shown, as the one that is asked about. @type {object | null} */
  shown = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  timer = undefined;
  /** Where the keyboard came from into the card, and goes when it leaves. @type {HTMLElement | null} */
  back = null;

  constructor() {
    this.choice = el("div", { class: "kv-chosenfrom" });
    this.card = el("div", { class: "kv-inspector", role: "dialog", "aria-label": "Token", hidden: true });
    this.speech = el("div", { class: "kv-hidden", "aria-live": "polite" });
    this.pinned = false;
    showFloating(this.card);
    showFloating(this.speech);
    this.card.addEventListener("keydown", (event) => this.#leaveByKey(event));
    document.addEventListener("keydown", (event) => event.key === "Escape" && this.hide());
    document.addEventListener("pointerdown", (event) => {
      if (!within(event, this.card) && !targetOf(event, ".kv-chip")) this.hide();
    });
  }

  /** @type {(race: Race, lane: Lane, index: number, chip: HTMLElement, how?: How) => void} */
  show(race, lane, index, chip, { pinned = false, aloud = false } = {}) {
    const token = lane.tokens[index];
    if (!token || (this.pinned && !pinned)) return;
    this.pinned = pinned;
    mark(lane.index, index);
    const marked = lane.divergence?.index === index ? el("p", { class: "kv-why" }, lane.divergence.detail) : null;
    this.card.replaceChildren(
      el("header", {},
        el("bdi", {}, quote(token.text)),
        el("span", {}, `${lane.name} · ${format.count(index + 1)} of ${format.count(race.start.max_new_tokens)}`)),
      facts(lane, token), ...(marked ? [marked] : []), this.choice, reading(race, lane, token));
    this.card.hidden = false;
    this.card.dataset.pinned = String(pinned);
    const pre = this.card.querySelector("pre");
    if (pre) pre.scrollTop = pre.scrollHeight;
    this.card.style.cssText = `--lane: var(${laneColor(lane.index)})`;
    if (aloud) this.speech.textContent = `${quote(token.text)}, ${format.seconds(token.seconds)}. ${sentence(race, lane, token)}`;
    this.#choose(race.run, lane, index, chip, aloud);
  }

  /** Beside its token, or on a phone at the foot of the window.
   * @param {HTMLElement} chip */
  #place(chip) { if (!matchMedia("(max-width: 760px)").matches) place(this.card, chip); }

  /** Shows what a token was chosen from, once the server has said so; until then the card keeps its height.
   * @type {(run: string, lane: Lane, index: number, chip: HTMLElement, aloud: boolean) => void} */
  #choose(run, lane, index, chip, aloud) {
    const asked = {};
    this.shown = asked;
    clearTimeout(this.timer);
    const show = (/** @type {(Node | string)[]} */ nodes, waits = false) => {
      if (this.shown !== asked) return;
      this.choice.toggleAttribute("data-waits", waits);
      this.choice.replaceChildren(...nodes);
      this.#place(chip);
    };
    if (lane.noCandidates) {
      show([el("p", {}, lane.noCandidates)]);
      return;
    }
    show([el("p", {}, "Asking what it was chosen from …")], true);
    this.timer = setTimeout(async () => {
      try {
        const { candidates, reason } = await candidatesOf(run, lane.index, index);
        if (candidates && this.shown === asked) this.card.style.setProperty("--stages", String(candidates.stages.length));
        show(candidates ? chosenFrom(candidates) : [el("p", {}, reason)]);
        if (aloud && candidates && this.shown === asked) this.speech.textContent += ` ${chosenHow(candidates)}`;
      } catch {
        show([el("p", {}, UNANSWERED)]);
      }
    }, STAYS);
  }

  /** What the keyboard reaches in the card.
   * @returns {HTMLElement[]} */
  #reachable() { return [...this.card.querySelectorAll("button, [tabindex='0']")].filter((one) => one instanceof HTMLElement); }

  /** Takes the keyboard into the card; tells whether there is anything to reach.
   * @param {HTMLElement} back where it comes from */
  enter(back) {
    const [first] = this.card.hidden ? [] : this.#reachable();
    if (!first) return false;
    this.back = back;
    first.focus();
    return true;
  }

  /** Whether the card holds an element.
   * @param {EventTarget | null} element */
  holds(element) { return element instanceof Node && this.card.contains(element); }

  /** At either end of the card the keyboard goes back to where it came from; forwards and by Escape the card closes.
   * @param {KeyboardEvent} event */
  #leaveByKey(event) {
    const reachable = this.#reachable();
    const end = event.shiftKey ? reachable[0] : reachable[reachable.length - 1];
    if (event.key !== "Escape" && (event.key !== "Tab" || document.activeElement !== end)) return;
    event.preventDefault();
    if (!event.shiftKey) this.hide();
    this.back?.focus({ preventScroll: true });
  }

  /** The pointer left: an inspector that was not pinned goes. */
  leave() { if (!this.pinned) this.hide(); }

  hide() {
    if (!this.card.hidden) unmark();
    this.card.hidden = true;
    this.pinned = false;
    this.shown = null;
    clearTimeout(this.timer);
  }
}

/** @type {Inspector | null} */
let inspector = null;
export const tokenCard = () => (inspector ??= new Inspector());

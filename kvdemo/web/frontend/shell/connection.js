// Notices that the server does not answer, and that it was started again, which ends every run that it had.
//
// Gradio notices by itself when an answer breaks off, and loads the page again. It does not where a server ends in good
// order, which closes its answers: the run would seem to go on for ever.
import { emit } from "../base/bus.js";
import { el, showFloating } from "../base/dom.js";

/** Between two looks at a server that answers, and at one that does not. */
const LOOK_MS = 5000;
const LOST_MS = 1000;
/** Gradio's own number for the server's process. */
const address = new URL("gradio_api/app_id", document.baseURI);

/** The process that the page is of, and whether it has been without a server. */
export const connection = { app: String(window.gradio_config?.app_id), lost: false };
/** @type {HTMLElement | null} */
let notice = null;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

/** @param {boolean} lost */
const say = (lost) => {
  if (lost === Boolean(notice)) return;
  notice?.remove();
  notice = lost ? el("p", { class: "kv-missing", role: "alert" }, "The server does not answer. This page goes on as soon as it does.") : null;
  if (notice) showFloating(notice);
  emit("lost", lost);
};

/** The process that answers now; null where none does. */
const answers = async () => {
  try {
    const answer = await fetch(address, { cache: "no-store" });
    if (answer.ok) return String((await answer.json()).app_id);
    return answer.status >= 500 ? null : connection.app; // a proxy says that nobody answers, or does not let this through
  } catch {
    return null;
  }
};

const look = async () => {
  clearTimeout(timer);
  timer = undefined;
  if (document.hidden) return;
  const app = await answers();
  connection.lost ||= app === null;
  if (app !== null && app !== connection.app) {
    location.reload(); // Gradio's client may wait for ever for what the old one would have sent
    return;
  }
  say(app === null);
  timer = setTimeout(look, app === null ? LOST_MS : LOOK_MS);
};

document.addEventListener("visibilitychange", () => !document.hidden && look());
timer = setTimeout(look, LOOK_MS);

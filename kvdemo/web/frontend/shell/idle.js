// A page asks for frames only where it draws. Gradio's would go on: the timer of its loading indicator counts, once a frame,
// after the indicator has left the page, and a browser that draws nothing sixty times a second takes a share of a core.

const ENOUGH = 60;
/** @type {Set<number>} */
const ours = new Set();
/** How many of them were asked for since the last look. */
let since = 0;
let own = requestAnimationFrame(look);
/** @type {number | null} */
let others = null;
let times = 0;

/** A frame for this page's own scripts, which all ask for theirs here: it is never cancelled.
 * @param {FrameRequestCallback} act */
export const nextFrame = (act) => {
  const id = requestAnimationFrame((now) => {
    ours.delete(id);
    act(now);
  });
  ours.add(id);
  since += 1;
  return id;
};

/** Requests are numbered: what lies between two of these is what was asked for meanwhile. */
function look() {
  const last = own;
  own = requestAnimationFrame(look);
  const asked = own - last - 1;
  const theirs = asked - since;
  times = theirs === others ? times + 1 : 0;
  others = theirs;
  since = 0;
  if (times < ENOUGH) return;
  // As many in each of so many frames: loops, which draw nothing yet, for this page has no animation of its own.
  for (let id = own - asked; id <= own; id += 1) if (!ours.has(id)) cancelAnimationFrame(id);
}

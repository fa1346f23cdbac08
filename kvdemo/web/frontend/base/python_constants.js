// What Python and the browser both know, as Python states it (kvdemo/web/assets.py puts it into the page's head).

/**
 * BOUNDS  what a step can be bound by, and what that is called
 * SAME    closer than this, two times are called the same
 */
export const { bounds: BOUNDS, same: SAME } = window.kvdemo;

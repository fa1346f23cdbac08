// What the browser remembers from one visit to the next. Where it may not, every visit is the first.

/** @type {(name: string) => string | null} */
export const recall = (name) => {
  try {
    return localStorage.getItem(`kvdemo ${name}`);
  } catch {
    return null;
  }
};

/** @type {(name: string, value: string) => void} */
export const remember = (name, value) => {
  try {
    localStorage.setItem(`kvdemo ${name}`, value);
  } catch {
    // Storage is off, or full: it is not needed.
  }
};

// The cases that Python and the browser must both pass (tests/cases; pytest reads them too).
import { readFileSync } from "node:fs";

export const cases = (name) => JSON.parse(readFileSync(new URL(`../cases/${name}.json`, import.meta.url), "utf8"));

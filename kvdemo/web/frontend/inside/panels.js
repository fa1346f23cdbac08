// The panels in their order.
import { formulas } from "./formulas.js";
import { legacy } from "./legacy.js";
import { loops } from "./loops.js";
import { past } from "./past.js";
import { roles } from "./roles.js";
import { rounding } from "./rounding.js";
import { scratch } from "./scratch.js";
import { steps } from "./steps.js";

export const PANELS = [steps, past, roles, rounding, scratch, formulas, loops, legacy];

// The panels in their order.
import { formulas } from "./panels/formulas.js";
import { legacy } from "./panels/legacy.js";
import { loops } from "./panels/loops.js";
import { past } from "./panels/past.js";
import { roles } from "./panels/roles.js";
import { rounding } from "./panels/rounding.js";
import { scratch } from "./panels/scratch.js";
import { steps } from "./panels/steps.js";

export const PANELS = [steps, past, roles, rounding, scratch, formulas, loops, legacy];

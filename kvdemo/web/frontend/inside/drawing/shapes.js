// What layers keep, in words.
import { format } from "../../base/format.js";
import { several, shape } from "./scale.js";

const KINDS = { full: "", sliding: " with a window", state: " with a state in place of keys and values", other: "" };

/** A shape as it was at another length: the positions are its last size but one.
 * @type {(sizes: number[] | null, length: number) => number[] | null} */
export const shapeAt = (sizes, length) => (sizes ? [...sizes.slice(0, -2), length, sizes[sizes.length - 1]] : null);

/** What a group of layers keeps after a step, in words.
 * @type {(group: inside.CacheLayers, at: number) => string} */
export const kept = (group, at) => {
  const layers = `${several(group.layers.length, "layer")}${KINDS[group.kind]}`;
  const length = group.lengths[at];
  if (!group.key_shape) return `${layers}: ${format.bytes(group.bytes[at])} each`;
  const [keys, values] = [shapeAt(group.key_shape, length), shapeAt(group.value_shape, length)].map(shape);
  return `${layers}: keys ${keys}, values ${keys === values ? "alike" : values}, ${format.bytes(group.bytes[at])} each`;
};

// For properties that are set from outside before the first render.

/** @returns {any} */
export function late() {
    return undefined;
}

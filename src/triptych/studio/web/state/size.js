// Sizes of slots: what a backbone takes, what a drag makes of them, and how they are said.
/** @typedef {import('./types.js').Size} Size */
/** @typedef {import('./types.js').Backbone} Backbone */

const RATIOS = [[1, 1], [5, 4], [4, 3], [3, 2], [16, 9], [2, 1], [4, 5], [3, 4], [2, 3], [9, 16], [1, 2]];
/** How far from a ratio of whole numbers a size may be and still be called by it. */
const NEAR = 0.015;

/** The step that sides grow by, and how short and long they may be. @param {Backbone | null} backbone */
export function reach(backbone) {
    const side = backbone?.side_px || 256;
    const step = side >= 512 ? 64 : 16;
    return {side, step, least: Math.max(step, Math.round(side / 4 / step) * step), most: side * 2};
}

/** @param {number} length @param {Backbone | null} backbone */
export function snapped(length, backbone) {
    const {step, least, most} = reach(backbone);
    return Math.max(least, Math.min(most, Math.round(length / step) * step));
}

/** About the area that the backbone works best at, in this aspect. @param {number} aspect @param {Backbone | null} backbone @returns {Size} */
export function sizeOfAspect(aspect, backbone) {
    const {side} = reach(backbone);
    return [snapped(side * Math.sqrt(aspect), backbone), snapped(side / Math.sqrt(aspect), backbone)];
}

/** "192 × 128, 3:2". @param {Size} size */
export function said([width, height]) {
    const ratio = RATIOS.find(([a, b]) => Math.abs(width / height / (a / b) - 1) < NEAR);
    const told = ratio ? ratio.join(':') : width > height ? `${(width / height).toFixed(2)}:1` : `1:${(height / width).toFixed(2)}`;
    return `${width} × ${height}, ${told}`;
}

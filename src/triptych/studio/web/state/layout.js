// Where panels stand on the sheet: the same choice of rows as the canvas of the model (layouts.py), without its rounding.

const EMPTY_COST = 4;
const UNEVEN_COST = 2;

/**
 * Rows of panel numbers for panels of these aspects (width by height).
 * @param {number[]} aspects
 * @param {string} layout
 * @returns {number[][]}
 */
export function rowsOf(aspects, layout) {
    const all = aspects.map((_, index) => index);
    if (layout === 'row' || all.length < 2) return [all];
    if (layout === 'column') return all.map((index) => [index]);
    if (layout === 'grid') return chunks(all, Math.ceil(Math.sqrt(all.length)));
    let best = [all];
    let least = Infinity;
    for (const rows of breaks(aspects)) {
        const cost = costOf(rows, aspects);
        if (cost < least) [best, least] = [rows, cost];
    }
    return best;
}

/** @param {number[]} all @param {number} length */
function chunks(all, length) {
    const rows = [];
    for (let start = 0; start < all.length; start += length) rows.push(all.slice(start, start + length));
    return rows;
}

/** @param {number[]} aspects */
function* breaks(aspects) {
    const all = aspects.map((_, index) => index);
    const alike = new Set(aspects).size === 1;
    /** @type {number[]} */
    const ends = [];
    for (const aspect of aspects) ends.push((ends.at(-1) ?? 0) + aspect);
    const total = ends.at(-1) ?? 1;
    for (let rows = 1; rows <= all.length; rows += 1) {
        if (alike) {
            yield chunks(all, Math.ceil(all.length / rows));
            continue;
        }
        /** @type {Map<number, number[]>} */
        const found = new Map();
        all.forEach((index) => {
            const middle = ((index ? ends[index - 1] : 0) + ends[index]) / 2;
            const row = Math.min(rows - 1, Math.floor((middle / total) * rows));
            found.set(row, [...(found.get(row) ?? []), index]);
        });
        yield [...found.values()];
    }
}

/** @param {number[][]} rows @param {number[]} aspects */
function costOf(rows, aspects) {
    const alike = new Set(aspects).size === 1;
    const shares = rows.map((row) => row.reduce((sum, index) => sum + aspects[index], 0));
    if (alike) {
        const width = Math.max(...shares);
        const used = shares.reduce((sum, share) => sum + share, 0);
        return Math.abs(Math.log(width / rows.length)) + EMPTY_COST * ((width * rows.length) / used - 1);
    }
    const heights = shares.map((share) => 1 / share);
    const scales = heights.map((height) => Math.log(height));
    const height = heights.reduce((sum, one) => sum + one, 0);
    return Math.abs(Math.log(1 / height)) + UNEVEN_COST * (Math.max(...scales) - Math.min(...scales));
}

// Boxes: where things stand in a panel. How they are drawn, named and told, as changes of the document.

/** @typedef {import('./types.js').Doc} Doc */
/** @typedef {import('./types.js').Panel} Panel */
/** @typedef {import('./types.js').Box} Box */
/** @typedef {Box['corners']} Corners */
/** A place in the panel, as parts of its width and height. @typedef {[number, number]} Point */

import {changePanel, isSlot, newKey} from './doc.js';

export const MOST_BOXES = 64;
/** The shortest side that one can still take hold of; files may have shorter ones. */
const LEAST = 0.02;
/** Models read corners on a grid of a thousand. */
const GRID = 1000;
const ARTICLES = new Set(['a', 'an', 'the']);

/** The boxes that a panel is made with: what is kept has its picture already. @param {Panel} panel @returns {Box[]} */
export function boxesOf(panel) {
    return panel.kept ? [] : ownBoxes(panel);
}

/** Whether boxes can be drawn on a panel: the model reads them, and the panel is still to be made or was given. @param {Panel} panel @param {import('./types.js').Backbone | null} backbone */
export function takesBoxes(panel, backbone) {
    return Boolean(backbone?.reads_boxes) && !panel.kept;
}

/** Those that wait while it is kept, too. Pages of earlier visits know none. @param {Panel} panel @returns {Box[]} */
function ownBoxes(panel) {
    return panel.boxes ?? [];
}

/** @param {number} part */
const onGrid = (part) => Math.round(Math.max(0, Math.min(1, part)) * GRID) / GRID;

/** The box between two points. @param {Point} one @param {Point} other @returns {Corners} */
export function spanned(one, other) {
    const [left, right] = [one[0], other[0]].sort((a, b) => a - b);
    const [top, bottom] = [one[1], other[1]].sort((a, b) => a - b);
    return [onGrid(left), onGrid(top), onGrid(right), onGrid(bottom)];
}

/** Whether a box is large enough to be meant. @param {Corners} corners */
export function isMeant([left, top, right, bottom]) {
    return right - left >= LEAST && bottom - top >= LEAST;
}

/** The box moved by so much, within the panel. @param {Corners} corners @param {Point} by @returns {Corners} */
export function moved([left, top, right, bottom], [across, down]) {
    const x = Math.max(-left, Math.min(1 - right, across));
    const y = Math.max(-top, Math.min(1 - bottom, down));
    return [onGrid(left + x), onGrid(top + y), onGrid(right + x), onGrid(bottom + y)];
}

/** The box with some sides moved: -1 is left or top, 1 right or bottom, 0 neither. @param {Corners} corners @param {Point} sides @param {Point} by @returns {Corners} */
export function pulled(corners, sides, by) {
    const next = /** @type {Corners} */ ([...corners]);
    for (const axis of [0, 1]) {
        const least = Math.min(LEAST, corners[axis + 2] - corners[axis]);
        if (sides[axis] < 0) next[axis] = onGrid(Math.min(corners[axis] + by[axis], corners[axis + 2] - least));
        if (sides[axis] > 0) next[axis + 2] = onGrid(Math.max(corners[axis + 2] + by[axis], corners[axis] + least));
    }
    return next;
}

/** "34 × 20 %, 10 % from the left, 5 % from the top". @param {Corners} corners */
export function told([left, top, right, bottom]) {
    const [x, y, width, height] = [left, top, right - left, bottom - top].map((part) => Math.round(part * 100));
    return `${width} × ${height} %, ${x} % from the left, ${y} % from the top`;
}

/** A place for a box that nobody drew, beside those that are there. @param {Panel} panel @returns {Corners} */
export function freePlace(panel) {
    const step = (boxesOf(panel).length % 6) * 0.05;
    return moved([0.3, 0.3, 0.6, 0.6], [step, step]);
}

/** Boxes are numbered in the order that they were drawn in. @param {Doc} doc @param {string} key @param {Corners} corners @returns {Doc} */
export function addBox(doc, key, corners) {
    return changePanel(doc, key, (panel) => {
        if (ownBoxes(panel).length >= MOST_BOXES) return {};
        return {boxes: [...ownBoxes(panel), {name: nameFor('', namesIn(doc.panels)), corners, words: ''}]};
    });
}

/** @param {Doc} doc @param {string} key @param {number} at @param {Corners} corners @returns {Doc} */
export function placeBox(doc, key, at, corners) {
    return changeBox(doc, key, at, {corners});
}

/** @param {Doc} doc @param {string} key @param {number} at @returns {Doc} */
export function removeBox(doc, key, at) {
    return changePanel(doc, key, (panel) => ({boxes: ownBoxes(panel).filter((_, number) => number !== at)}));
}

/** @param {Doc} doc @returns {Doc} */
export function withoutBoxes(doc) {
    return {...doc, panels: doc.panels.map((panel) => (boxesOf(panel).length ? {...panel, boxes: []} : panel))};
}

/**
 * Says what stands in a box. Its name follows the words, unless others speak of it by its name; with the words of a box
 * of a picture, a slot's box is the same thing, and so the other way round.
 * @param {Doc} doc @param {string} key @param {number} at @param {string} words @returns {Doc}
 */
export function nameBox(doc, key, at, words) {
    const panel = doc.panels.find((one) => one.key === key);
    const box = panel && ownBoxes(panel)[at];
    if (!box) return doc;
    const partner = partnerOf(doc, panel, box);
    if (isCalled(doc, box.name) || (partner && !isSame(partner.box.words, box.words))) return changeBox(doc, key, at, {words});
    const others = doc.panels.flatMap(ownBoxes).filter((one) => one !== box);
    const beside = new Set(namesIn(doc.panels.filter((one) => wants(one) === wants(panel)), box));
    const across = doc.panels.filter((one) => wants(one) !== wants(panel)).flatMap(ownBoxes);
    const same = across.find((one) => isSame(one.words, words) && !beside.has(one.name));
    return changeBox(doc, key, at, {words, name: same?.name ?? nameFor(words, others.map((one) => one.name))});
}

/** The box of the same name in a panel of the other kind, and which panel that is. @param {Doc} doc @param {Panel} panel @param {Box} box */
export function partnerOf(doc, panel, box) {
    for (const [index, other] of doc.panels.entries()) {
        const found = wants(other) === wants(panel) ? null : boxesOf(other).find((one) => one.name === box.name);
        if (found) return {box: found, index};
    }
    return null;
}

/** A panel once more behind itself; things that stand in it are new ones, with names of their own. @param {Doc} doc @param {string} key @returns {Doc} */
export function copyPanel(doc, key) {
    const at = doc.panels.findIndex((one) => one.key === key);
    if (at < 0) return doc;
    const panel = doc.panels[at];
    const taken = namesIn(doc.panels);
    let {instruction} = panel;
    const boxes = ownBoxes(panel).map((box) => {
        const name = nameFor(box.words ?? '', taken);
        taken.push(name);
        instruction = instruction.replaceAll(`<${box.name}>`, `<${name}>`);
        return {...box, name};
    });
    return {...doc, panels: [...doc.panels.slice(0, at + 1), {...panel, key: newKey(), boxes, instruction}, ...doc.panels.slice(at + 1)]};
}

/** The boxes of a panel, from 0, of which nobody says what stands there. @param {Doc} doc @param {Panel} panel */
export function wordless(doc, panel) {
    return boxesOf(panel).flatMap((box, at) => (box.words?.trim() || partnerOf(doc, panel, box)?.box.words || isCalled(doc, box.name) ? [] : [at]));
}

/**
 * What stands against the page's boxes, and what would mend it.
 * @param {Doc} doc @param {import('./types.js').Backbone} backbone @param {import('./types.js').Backbone[]} offered
 * @returns {import('./types.js').Hindrance[]}
 */
export function aboutBoxes(doc, backbone, offered) {
    const boxed = doc.panels.filter((panel) => boxesOf(panel).length);
    if (!boxed.length) return [];
    const count = boxed.reduce((sum, panel) => sum + boxesOf(panel).length, 0);
    const has = `${count === 1 ? 'a box' : `${count} boxes`} in panel ${boxed.map((panel) => doc.panels.indexOf(panel) + 1).join(', ')}`;
    if (!backbone.reads_boxes) {
        const others = offered.filter((one) => one.reads_boxes).map((one) => one.name);
        const instead = others.length ? `, or choose ${others.join(' or ')}` : '';
        return [{text: `${backbone.name} reads no boxes, and the page has ${has}. Remove ${count === 1 ? 'it' : 'them'} and say in words where things stand${instead}.`, panel: null, blocks: true, fix: {label: count === 1 ? 'Remove the box' : 'Remove the boxes', change: withoutBoxes}}];
    }
    /** @type {import('./types.js').Hindrance[]} */
    const found = [];
    const way = doc.settings.conditioning ?? backbone.conditionings[0];
    if (way !== 'reference') {
        found.push({text: `${backbone.name} reads boxes where pictures enter by reference, and they enter by ${way}; the page has ${has}.`, panel: null, blocks: true,
            fix: {label: 'Enter by reference', change: (now) => ({...now, settings: {...now.settings, conditioning: 'reference'}})}});
    }
    for (const panel of boxed) {
        const [at] = wordless(doc, panel);
        if (at !== undefined) found.push({text: `Box ${at + 1} has no words. Say what stands there, or remove it.`, panel: panel.key, blocks: true, inPlace: true});
    }
    return found;
}

/** Whether a panel's boxes say where things are wanted; in others they say where things are. @param {Panel} panel */
const wants = (panel) => isSlot(panel) || panel.kept;

/** @param {string | undefined} one @param {string | undefined} other */
const isSame = (one, other) => plain(one) === plain(other) && plain(one) !== '';

/** @param {string | undefined} words */
const plain = (words) => (words ?? '').trim().replace(/\s+/g, ' ').toLowerCase();

/** @param {Doc} doc @param {string} name */
const isCalled = (doc, name) => [doc.overview, ...doc.panels.map((panel) => panel.instruction)].some((text) => text.includes(`<${name}>`));

/** @param {Panel[]} panels @param {Box | null} [but] */
const namesIn = (panels, but = null) => panels.flatMap(ownBoxes).filter((one) => one !== but).map((one) => one.name);

/** A name as prompts have them, of the first words: "a red lighthouse" is red_lighthouse_1. @param {string} words @param {string[]} taken */
function nameFor(words, taken) {
    const letters = words.normalize('NFKD').toLowerCase().split(/\s+/).map((word) => word.replace(/[^a-z0-9]/g, '')).filter((word) => word && !ARTICLES.has(word));
    const stem = letters.slice(0, 3).join('_').slice(0, 48).replace(/^[^a-z]+/, '') || 'thing';
    let number = 1;
    while (taken.includes(`${stem}_${number}`)) number += 1;
    return `${stem}_${number}`;
}

/** @param {Doc} doc @param {string} key @param {number} at @param {Partial<Box>} some @returns {Doc} */
function changeBox(doc, key, at, some) {
    return changePanel(doc, key, (panel) => ({boxes: ownBoxes(panel).map((box, number) => (number === at ? {...box, ...some} : box))}));
}

// The page as a value: every change is a function from one document to the next. No DOM, no server.

/** @typedef {import('./types.js').Doc} Doc */
/** @typedef {import('./types.js').Panel} Panel */
/** @typedef {import('./types.js').ExamplePage} ExamplePage */
/** @typedef {import('./types.js').Variant} Variant */
/** @typedef {import('./types.js').WirePage} WirePage */

import {fileId} from './api.js';

export const MAX_VARIANTS_KEPT = 12;
/** Letters of a text on a page, as the server takes them. */
export const MAX_LETTERS = 20000;

let counter = 0;
export function newKey() {
    counter += 1;
    return `${Date.now().toString(36)}${counter.toString(36)}${Math.floor(Math.random() * 1296).toString(36)}`;
}

export function newSeed() {
    return Math.floor(Math.random() * 2 ** 31);
}

/** @param {Partial<Panel>} [some] @returns {Panel} */
export function newSlot(some = {}) {
    return {
        key: newKey(), role: 'slot', image: null, width: 0, height: 0, instruction: '', variants: [], chosen: 0,
        boxes: [], kept: false, ...some,
    };
}

/** @param {{id: string, width: number, height: number}} file @param {Partial<Panel>} [some] @returns {Panel} */
export function newCondition(file, some = {}) {
    return {...newSlot(), role: 'subject', image: file.id, width: file.width, height: file.height, ...some};
}

/** @returns {Doc} */
export function emptyDoc() {
    return {
        overview: '',
        layout: 'auto',
        gutter: 0,
        panels: [newSlot()],
        context: [],
        settings: {
            backbone: null, skills: [], seed: newSeed(), variants: 1, steps: null, reading: null, guidance: null, conditioning: null,
            size: null, live: true,
        },
    };
}

/** @param {Panel} panel */
export function isSlot(panel) {
    return panel.role === 'slot';
}

/** @param {Panel} panel @returns {Variant | null} */
export function answer(panel) {
    return panel.variants[panel.chosen] ?? null;
}

/** The file that a panel shows. @param {Panel} panel */
export function shown(panel) {
    return isSlot(panel) ? (answer(panel)?.file ?? null) : panel.image;
}

/** @param {Doc} doc @param {string} key @param {Partial<Panel> | ((panel: Panel) => Partial<Panel>)} change @returns {Doc} */
export function changePanel(doc, key, change) {
    return {
        ...doc,
        panels: doc.panels.map((panel) =>
            panel.key === key ? {...panel, ...(typeof change === 'function' ? change(panel) : change)} : panel,
        ),
    };
}

/** @param {Doc} doc @param {Panel[]} panels @param {number} [at] @returns {Doc} */
export function insertPanels(doc, panels, at = doc.panels.length) {
    return {...doc, panels: [...doc.panels.slice(0, at), ...panels, ...doc.panels.slice(at)]};
}

/** @param {Doc} doc @param {string} key @returns {Doc} */
export function removePanel(doc, key) {
    return {...doc, panels: doc.panels.filter((panel) => panel.key !== key)};
}

/** Moves a panel so that it stands at `to`, counted without it. @param {Doc} doc @param {string} key @param {number} to @returns {Doc} */
export function movePanel(doc, key, to) {
    const panel = doc.panels.find((one) => one.key === key);
    if (!panel) return doc;
    const others = doc.panels.filter((one) => one !== panel);
    const place = Math.max(0, Math.min(others.length, to));
    return {...doc, panels: [...others.slice(0, place), panel, ...others.slice(place)]};
}

/** Puts a picture into a panel: an empty slot becomes a condition, and boxes spoke of another picture. @param {Doc} doc @param {string} key @param {{id: string, width: number, height: number}} file */
export function fillPanel(doc, key, file) {
    return changePanel(doc, key, (panel) => ({
        role: isSlot(panel) ? 'subject' : panel.role,
        image: file.id,
        width: file.width,
        height: file.height,
        kept: false,
        boxes: [],
    }));
}

/** Takes the picture out: the panel is a slot again. @param {Doc} doc @param {string} key */
export function emptyPanel(doc, key) {
    return changePanel(doc, key, {role: 'slot', image: null, width: 0, height: 0, kept: false, variants: [], chosen: 0, boxes: []});
}

/** The slot's picture becomes a condition that the other slots see. @param {Doc} doc @param {string} key */
export function keepPanel(doc, key) {
    return changePanel(doc, key, (panel) => {
        const made = answer(panel);
        if (!isSlot(panel) || !made) return {};
        return {role: 'subject', image: made.file, width: made.width, height: made.height, kept: true};
    });
}

/** @param {Doc} doc @param {string} key */
export function releasePanel(doc, key) {
    return changePanel(doc, key, (panel) =>
        panel.kept ? {role: 'slot', image: null, width: 0, height: 0, kept: false} : {},
    );
}

/** Keeps every filled slot and adds empty ones that see them all. @param {Doc} doc @param {number} [count] */
export function continueStory(doc, count = 1) {
    const kept = doc.panels.reduce((page, panel) => keepPanel(page, panel.key), doc);
    return insertPanels(kept, Array.from({length: count}, () => newSlot()));
}

/** @param {Doc} doc @param {string} key @param {Variant} variant */
export function addVariant(doc, key, variant) {
    return changePanel(doc, key, (panel) => {
        const others = panel.variants.filter((one) => one.picture !== variant.picture && !(variant.live && one.live));
        const variants = [...others, variant].slice(-MAX_VARIANTS_KEPT);
        return {variants, chosen: variants.length - 1};
    });
}

/** The page as the server reads it. @param {Doc} doc @returns {WirePage} */
export function toWire(doc) {
    return {
        overview: doc.overview,
        layout: doc.layout,
        gutter_px: doc.gutter,
        panels: doc.panels.map((panel) => ({
            role: panel.role,
            instruction: panel.instruction,
            image: isSlot(panel) ? null : `file:${panel.image}`,
            size_px: isSlot(panel) && panel.width ? [panel.width, panel.height] : null,
            answer: isSlot(panel) && answer(panel) ? `file:${answer(panel)?.file}` : null,
            boxes: panel.kept ? [] : panel.boxes,
        })),
        context: doc.context.filter(isComplete).map(exampleToWire),
    };
}

/** @param {ExamplePage} example @returns {WirePage} */
export function exampleToWire(example) {
    return {
        panels: example.panels.map((panel) => ({
            role: panel.role,
            instruction: panel.instruction,
            [panel.role === 'slot' ? 'answer' : 'image']: `file:${panel.picture}`,
        })),
    };
}

/** Whether every panel of an example has its picture. @param {ExamplePage} example */
export function isComplete(example) {
    return example.panels.length > 0 && example.panels.every((panel) => panel.picture);
}

/** An empty example in the shape of the page itself. @param {Doc} doc @returns {ExamplePage} */
export function exampleLike(doc) {
    const shape = doc.context[0]?.panels ?? doc.panels;
    const panels = shape.map((panel) => ({role: panel.role, instruction: panel.instruction}));
    if (!panels.some((panel) => panel.role !== 'slot')) panels.unshift({role: 'edit', instruction: ''});
    return {key: newKey(), panels: panels.map((panel) => ({...panel, key: newKey(), picture: null, width: 0, height: 0}))};
}

/** @param {string | null | undefined} reference */
const id = (reference) => (reference ? fileId(reference) : null);

/**
 * A page of the server as a document.
 * @param {WirePage} page
 * @param {Doc} base Whose settings are taken over.
 * @returns {Doc}
 */
export function fromWire(page, base) {
    const panels = page.panels.map((panel) => {
        const picture = id(panel.image);
        const [width, height] = panel.size_px ?? [0, 0];
        const made = id(panel.answer);
        return newSlot({
            role: panel.role ?? (picture ? 'subject' : 'slot'),
            image: picture, width, height,
            instruction: panel.instruction ?? '',
            variants: made ? [{file: made, picture: null, seed: 0, width: 0, height: 0}] : [],
            boxes: panel.boxes ?? [],
        });
    });
    return {
        ...base,
        overview: page.overview ?? '',
        layout: page.layout ?? 'auto',
        gutter: page.gutter_px ?? 0,
        panels,
        context: (page.context ?? []).map((example) => ({
            key: newKey(),
            panels: example.panels.map((panel) => ({
                key: newKey(),
                role: panel.role ?? (panel.image ? 'subject' : 'slot'),
                picture: id(panel.image) ?? id(panel.answer),
                width: 0, height: 0,
                instruction: panel.instruction ?? '',
            })),
        })),
    };
}

/** What generation reads of a document; equal texts mean that nothing would change. @param {Doc} doc */
export function fingerprint(doc) {
    const {live: _, variants: __, ...settings} = doc.settings;
    const page = toWire(doc);
    return JSON.stringify([{...page, panels: page.panels.map(({answer: ___, ...rest}) => rest)}, settings]);
}

/** A few words to know the page by. @param {Doc} doc */
export function titleOf(doc) {
    const text = doc.overview || doc.panels.map((panel) => panel.instruction).find(Boolean) || 'Untitled page';
    return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

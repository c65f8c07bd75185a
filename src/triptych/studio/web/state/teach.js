// Pages gathered to teach a skill from, kept over a reload.
import {api, words} from './api.js';
import {boxesOf} from './boxes.js';
import {exampleToWire, isComplete, isSlot, shown} from './doc.js';
import {upload} from './files.js';
import {keep, recall} from './keep.js';
import {backboneOf} from './server.js';
import {signal} from './signal.js';
import {doc} from './studio.js';
import {say} from './ui.js';

/** @typedef {import('./types.js').WirePage} WirePage */

export const lesson = signal({
    name: '',
    /** @type {number | null} */ steps: null,
    /** @type {WirePage[]} */ pages: [],
    /** @type {{level: string, text: string}[] | null} */ findings: null,
    /** @type {{seconds?: number, memory_gib?: number} | null} */ estimate: null,
    busy: '',
    error: '',
});

/** @param {Partial<typeof lesson.value>} some */
export function change(some) {
    lesson.value = {...lesson.value, ...some};
    keep('lesson', {name: lesson.value.name, pages: lesson.value.pages});
}

recall('lesson').then((kept) => kept?.pages && change({name: kept.name ?? '', pages: kept.pages}));

/** @param {WirePage[]} pages */
export function addPages(pages) {
    change({pages: [...lesson.value.pages, ...pages], findings: null, estimate: null});
}

/** The finished pages of the document: its example rows, and the page itself where every slot is filled. */
export function pagesHere() {
    const now = doc.value;
    const pages = now.context.filter(isComplete).map(exampleToWire);
    const isFinished = now.panels.some(isSlot) && now.panels.every((panel) => shown(panel));
    if (isFinished) {
        pages.push({overview: now.overview, panels: now.panels.map((panel) => ({role: panel.role, instruction: panel.instruction, [isSlot(panel) ? 'answer' : 'image']: `file:${shown(panel)}`, boxes: boxesOf(panel)}))});
    }
    return pages;
}

/** @param {string} name */
const stem = (name) => name.replace(/\.[^.]+$/, '').toLowerCase();

/**
 * Pairs of two folders as pages: files of the same name belong together, else the first to the first.
 * @param {File[]} before
 * @param {File[]} after
 */
export function pairs(before, after) {
    const byName = new Map(after.map((file) => [stem(file.name), file]));
    const named = before.filter((file) => byName.has(stem(file.name)));
    if (named.length) return named.map((file) => [file, /** @type {File} */ (byName.get(stem(file.name)))]);
    const order = (/** @type {File[]} */ files) => [...files].sort((a, b) => a.name.localeCompare(b.name, 'en', {numeric: true}));
    const [first, second] = [order(before), order(after)];
    return first.slice(0, second.length).map((file, index) => [file, second[index]]);
}

/** @param {[File, File][] | File[][]} couples @param {string} [instruction] */
export async function addPairs(couples, instruction = '') {
    for (const [index, [before, after]] of couples.entries()) {
        change({busy: `Reading pair ${index + 1} of ${couples.length}`});
        const [image, answer] = [await upload(before), await upload(after)];
        if (image && answer) addPages([{panels: [{role: 'edit', image: `file:${image.id}`}, {role: 'slot', instruction, answer: `file:${answer.id}`}]}]);
    }
    change({busy: ''});
}

/**
 * What was dropped, by folder.
 * @param {DataTransfer} transfer
 * @returns {Promise<Map<string, File[]>>}
 */
export async function foldersOf(transfer) {
    const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter((entry) => entry !== null && entry !== undefined);
    /** @type {Map<string, File[]>} */
    const found = new Map();
    for (const entry of entries) await walk(entry, entry.isDirectory ? entry.name : '', found);
    return found;
}

/** @param {any} entry @param {string} folder @param {Map<string, File[]>} found */
async function walk(entry, folder, found) {
    if (entry.isFile) {
        /** @type {File} */
        const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
        if (file.type.startsWith('image/')) found.set(folder, [...(found.get(folder) ?? []), file]);
        return;
    }
    const reader = entry.createReader();
    for (;;) {
        /** @type {any[]} */
        const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
        if (!some.length) return;
        for (const one of some) await walk(one, folder, found);
    }
}

/** Whether two folders or more were dropped. @param {DataTransfer | null} transfer */
export function holdsFolders(transfer) {
    return [...(transfer?.items ?? [])].filter((item) => item.webkitGetAsEntry?.()?.isDirectory).length > 1;
}

/** @param {string} a @param {string} b */
function beforeFirst(a, b) {
    const late = (/** @type {string} */ name) => (/after|target|output|answer|out$/i.test(name) ? 1 : 0);
    return late(a) - late(b) || a.localeCompare(b);
}

/** Pairs of two folders, or of pictures in the order before, after, before, after. @param {DataTransfer} transfer */
export async function addDropped(transfer) {
    const folders = await foldersOf(transfer);
    const names = [...folders.keys()].filter(Boolean).sort(beforeFirst);
    const files = folders.get('') ?? [];
    if (names.length === 2) await addFolders(folders.get(names[0]) ?? [], folders.get(names[1]) ?? []);
    else if (!names.length && files.length && files.length % 2 === 0) {
        await addPairs(Array.from({length: files.length / 2}, (_, index) => [files[2 * index], files[2 * index + 1]]));
    } else say('Drop two folders, before and after, or an even number of pictures.', {kind: 'error'});
}

/** @param {File[]} before @param {File[]} after */
export async function addFolders(before, after) {
    const couples = pairs(before, after);
    if (!couples.length) say('No pairs were found. Files of the same name belong together.', {kind: 'error'});
    const left = Math.max(before.length, after.length) - couples.length;
    if (couples.length && left) say(`${left} ${left === 1 ? 'picture has' : 'pictures have'} no partner and ${left === 1 ? 'is' : 'are'} left out.`, {kind: 'warning'});
    await addPairs(couples);
}

/** Asks the server what it thinks of the pages. */
export async function preflight() {
    change({busy: 'Looking over the pages', error: ''});
    try {
        const {findings, estimate} = await api.post('/api/preflight', {pages: lesson.value.pages, backbone: backboneOf(doc.value)?.name, steps: lesson.value.steps});
        change({findings, estimate, busy: ''});
    } catch (error) {
        change({busy: '', error: words(error)});
    }
}

/** Sends the lesson off. @returns {Promise<boolean>} */
export async function teach() {
    const {name, pages, steps} = lesson.value;
    change({busy: 'Sending the pages', error: ''});
    try {
        await api.post('/api/jobs', {kind: 'train', lane: 'batch', replaces: null, document: null, body: {name, pages, backbone: backboneOf(doc.value)?.name, steps}});
        change({busy: '', name: '', steps: null, pages: [], findings: null, estimate: null});
        say(`"${name}" is being taught. It joins the shelf when it is done.`);
        return true;
    } catch (error) {
        change({busy: '', error: words(error)});
        return false;
    }
}

/**
 * Goes on with a training that has ended; one that is done needs to be told for how many steps more.
 * @param {{id: string, name: string}} training
 * @param {number} [moreSteps]
 */
export async function goOn({id, name}, moreSteps) {
    try {
        await api.post('/api/jobs', {kind: 'train', lane: 'batch', replaces: null, document: null, body: {name, continues: id, more_steps: moreSteps ?? null}});
        if (moreSteps) say(`"${name}" is being taught for ${moreSteps} more steps. It joins the shelf beside the one before.`);
    } catch (error) {
        say(words(error), {kind: 'error'});
    }
}

/** Tunes a copy of a skill to what was kept and rejected here. @param {{id: string, name: string}} skill */
export async function tune({id, name}) {
    try {
        await api.post('/api/jobs', {kind: 'train', lane: 'batch', replaces: null, document: null, body: {name: `${name}, as I like it`.slice(0, 80), prefer: id}});
    } catch (error) {
        say(words(error), {kind: 'error'});
    }
}

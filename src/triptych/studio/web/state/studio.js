// The page that is worked on: its document, its past and future, and where both are kept.
import {api, fileAddress, fileId} from './api.js';
import {emptyDoc, fromWire, newSeed, titleOf, toWire} from './doc.js';
import {keep, recall} from './keep.js';
import {signal} from './signal.js';
import {say} from './ui.js';

/** @typedef {import('./types.js').Doc} Doc */

const MOST_STEPS_BACK = 200;
const SAME_EDIT_MS = 1200;

export const doc = signal(emptyDoc());
/** How far one can go back and forward. */
export const steps = signal({back: 0, forward: 0});
/** The server's id and revision of the document. */
export const place = signal(/** @type {{id: string | null, revision: number}} */ ({id: null, revision: 0}));
export const saved = signal(/** @type {'saved' | 'saving' | 'unsaved' | 'stale'} */ ('saved'));

/** @type {Doc[]} */
let past = [];
/** @type {Doc[]} */
let future = [];
let lastEdit = {name: '', at: 0};

/**
 * Changes the document. Edits of the same name in quick succession are one step of undo; `quiet` adds to the last step.
 * @param {(doc: Doc) => Doc} change
 * @param {{name?: string, quiet?: boolean}} [how]
 */
export function edit(change, {name = '', quiet = false} = {}) {
    const next = change(doc.value);
    if (next === doc.value) return;
    const now = Date.now();
    const same = name && name === lastEdit.name && now - lastEdit.at < SAME_EDIT_MS;
    if (!quiet && !same) past = [...past.slice(1 - MOST_STEPS_BACK), doc.value];
    if (!quiet) {
        future = [];
        lastEdit = {name, at: now};
    }
    show(next);
}

export function undo() {
    const before = past.at(-1);
    if (!before) return;
    future = [doc.value, ...future];
    past = past.slice(0, -1);
    lastEdit = {name: '', at: 0};
    show(before);
}

export function redo() {
    const [after, ...rest] = future;
    if (!after) return;
    past = [...past, doc.value];
    future = rest;
    show(after);
}

/** @param {Doc} next */
function show(next) {
    doc.value = next;
    steps.value = {back: past.length, forward: future.length};
    saved.value = 'unsaved';
    saveSoon();
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let waiting;
function saveSoon() {
    clearTimeout(waiting);
    waiting = setTimeout(save, 400);
}

/** @type {Promise<void>} */
let saving = Promise.resolve();
function save() {
    saving = saving.then(saveNow, saveNow);
    return saving;
}

async function saveNow() {
    await keep('page', {doc: doc.value, past, future, place: place.value});
    const state = doc.value;
    const body = {title: titleOf(state), page: toWire(state), settings: {...state.settings, doc: state}};
    saved.value = 'saving';
    try {
        const {id, revision} = place.value;
        const answer = id ? await api.put(`/api/documents/${id}`, {...body, revision}) : await api.post('/api/documents', body);
        place.value = {id: answer.id, revision: answer.revision ?? 1};
        saved.value = doc.value === state ? 'saved' : 'unsaved';
        await keep('page', {doc: doc.value, past, future, place: place.value});
    } catch (error) {
        await notSaved(/** @type {any} */ (error));
    }
}

/** @param {import('./api.js').ApiError} error */
async function notSaved(error) {
    saved.value = 'unsaved';
    if (error.code === 'stale') {
        saved.value = 'stale';
        const theirs = error.body?.current;
        say('This page was changed in another window.', {
            kind: 'warning', stays: true,
            actions: [
                {label: 'Show that version', run: () => theirs && openDocument(theirs)},
                {label: 'Keep mine as a new page', run: () => { place.value = {id: null, revision: 0}; save(); }},
            ],
        });
    } else if (error.status === 404) {
        place.value = {id: null, revision: 0};
        saveSoon();
    }
}

/** Takes up the page of the last visit; false where there is none. */
export async function resume() {
    const kept = await recall('page');
    if (!kept?.doc?.panels) return false;
    past = kept.past ?? [];
    future = kept.future ?? [];
    place.value = kept.place ?? place.value;
    doc.value = kept.doc;
    steps.value = {back: past.length, forward: future.length};
    return true;
}

/** A new document in place of this one; undo brings this one back. @param {Doc} next */
export function openNew(next) {
    place.value = {id: null, revision: 0};
    edit(() => next);
}

/** @param {any} document As the server has it. */
export function openDocument(document) {
    const inside = document.settings?.doc;
    const next = inside?.panels ? inside : fromWire(document.page, {...emptyDoc(), settings: {...emptyDoc().settings, ...document.settings}});
    past = [...past, doc.value];
    future = [];
    place.value = {id: document.id, revision: document.revision};
    doc.value = next;
    steps.value = {back: past.length, forward: 0};
    saved.value = 'saved';
    keep('page', {doc: next, past, future, place: place.value});
}

/** A page of the server (starter, rule, recalled picture) as a new document. @param {any} page @param {any} [request] */
export function openPage(page, request = null) {
    const base = emptyDoc();
    const {backbone, live} = doc.value.settings;
    base.settings = {...base.settings, backbone, live, seed: newSeed()};
    if (request) {
        base.settings = {
            ...base.settings,
            backbone: request.backbone ?? backbone,
            seed: request.seed ?? base.settings.seed,
            steps: request.steps ?? null,
            skills: (request.skills ?? []).filter((/** @type {any} */ one) => one.id).map((/** @type {any} */ one) => ({id: one.id, weight: one.weight ?? 1})),
            size: Array.isArray(request.size_px) ? request.size_px : null,
        };
    }
    openNew(fromWire(page, base));
}

/** Learns the sizes of pictures that the server named without them. */
export async function measure() {
    const files = new Set(
        [...doc.value.panels.filter((one) => one.image && !one.width).map((one) => one.image)].filter(Boolean),
    );
    for (const file of files) {
        const size = await sizeOf(/** @type {string} */ (file));
        if (!size) continue;
        edit((now) => ({
            ...now,
            panels: now.panels.map((one) => (one.image === file && !one.width ? {...one, width: size[0], height: size[1]} : one)),
        }), {quiet: true});
    }
}

/** @param {string} file @returns {Promise<[number, number] | null>} */
function sizeOf(file) {
    return new Promise((resolve) => {
        const image = new Image();
        image.onload = () => resolve([image.naturalWidth, image.naturalHeight]);
        image.onerror = () => resolve(null);
        image.src = fileAddress(fileId(file));
    });
}

// The page that is worked on: its document, its past and future, and where both are kept.
import {api, fileAddress, fileId} from './api.js';
import {emptyDoc, fromWire, newKey, newSeed, titleOf, toWire} from './doc.js';
import {connection} from './events.js';
import {keep, recall} from './keep.js';
import {signal} from './signal.js';
import {say} from './ui.js';

/** @typedef {import('./types.js').Doc} Doc */

const MOST_STEPS_BACK = 200;
const SAME_EDIT_MS = 1200;

export const doc = signal(emptyDoc());
/** How far one can go back and forward. */
export const steps = signal({back: 0, forward: 0});
/**
 * Where the document is kept: `key` is its own from its first moment on, the server's id and revision come with the
 * first saving.
 * @typedef {{key: string, id: string | null, revision: number}} Place
 */
export const place = signal(/** @type {Place} */ ({key: newKey(), id: null, revision: 0}));
export const saved = signal(/** @type {'saved' | 'saving' | 'unsaved' | 'stale'} */ ('saved'));

/** A moment of the past or future, and which document it was. @typedef {{doc: Doc, key: string}} Moment */
/** @type {Moment[]} */
let past = [];
/** @type {Moment[]} */
let future = [];
/** Places of the documents that the past and the future speak of. @type {Map<string, Place>} */
let places = new Map();
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
    if (!quiet && !same) past = [...past.slice(1 - MOST_STEPS_BACK), moment()];
    if (!quiet) {
        future = [];
        lastEdit = {name, at: now};
    }
    show(next);
}

export function undo() {
    const before = past.at(-1);
    if (!before) return;
    future = [moment(), ...future];
    past = past.slice(0, -1);
    goTo(before);
}

export function redo() {
    const [after, ...rest] = future;
    if (!after) return;
    past = [...past, moment()];
    future = rest;
    goTo(after);
}

/**
 * Changes a panel that is not in sight any more, wherever the past or the future holds it: undo finds it changed.
 * @param {string} key @param {(doc: Doc) => Doc} change
 */
export function amend(key, change) {
    const has = (/** @type {Moment} */ one) => one.doc.panels.some((panel) => panel.key === key);
    past = past.map((one) => (has(one) ? {...one, doc: change(one.doc)} : one));
    future = future.map((one) => (has(one) ? {...one, doc: change(one.doc)} : one));
}

/** @returns {Moment} */
function moment() {
    return {doc: doc.value, key: place.value.key};
}

/** @param {Moment} to */
function goTo(to) {
    lastEdit = {name: '', at: 0};
    stand(places.get(to.key) ?? {key: to.key, id: null, revision: 0});
    show(to.doc);
}

/** Where a page is that may have been left. @param {string} key */
export function placeOf(key) {
    return key === place.value.key ? place.value : places.get(key);
}

/** @param {Place} at */
function stand(at) {
    places.set(place.value.key, place.value);
    places.set(at.key, at);
    place.value = at;
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

/** What could not be saved while nobody answered. */
connection.watch((now) => now === 'open' && saved.value === 'unsaved' && saveSoon());

/** What was changed a moment before the window goes is kept, too. */
addEventListener('pagehide', () => {
    if (saved.value === 'unsaved') keepAll();
});

/** @type {Promise<void>} */
let saving = Promise.resolve();
function save() {
    saving = saving.then(saveNow, saveNow);
    return saving;
}

async function saveNow() {
    await keepAll();
    const state = doc.value;
    const body = {title: titleOf(state), page: toWire(state), settings: {...state.settings, doc: state}};
    saved.value = 'saving';
    try {
        const {key, id, revision} = place.value;
        const answer = id ? await api.put(`/api/documents/${id}`, {...body, revision}) : await api.post('/api/documents', body);
        const now = {key, id: answer.id, revision: answer.revision ?? 1};
        places.set(key, now);
        if (place.value.key === key) place.value = now;
        saved.value = doc.value === state ? 'saved' : 'unsaved';
        await keepAll();
    } catch (error) {
        await notSaved(/** @type {any} */ (error));
    }
}

/** Keeps the page with its past and future for the next visit, now. */
export function keepAll() {
    places.set(place.value.key, place.value);
    const spoken = new Set([place.value.key, ...past.map((one) => one.key), ...future.map((one) => one.key)]);
    places = new Map([...places].filter(([key]) => spoken.has(key)));
    return keep('page', {doc: doc.value, past, future, place: place.value, places: [...places.values()]});
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
                {label: 'Keep mine as a new page', run: () => { stand({key: newKey(), id: null, revision: 0}); save(); }},
            ],
        });
    } else if (error.status === 404) {
        place.value = {...place.value, id: null, revision: 0};
        saveSoon();
    }
}

/** Takes up the page of the last visit; false where there is none. */
export async function resume() {
    const kept = await recall('page');
    if (!kept?.doc?.panels) return false;
    const isMoment = (/** @type {any} */ one) => Boolean(one?.doc && one.key);
    past = (kept.past ?? []).filter(isMoment);
    future = (kept.future ?? []).filter(isMoment);
    places = new Map((kept.places ?? []).map((/** @type {Place} */ one) => [one.key, one]));
    place.value = {...place.value, ...kept.place};
    doc.value = kept.doc;
    steps.value = {back: past.length, forward: future.length};
    return true;
}

/** A new document in place of this one; undo brings this one back. @param {Doc} next */
export function openNew(next) {
    past = [...past.slice(1 - MOST_STEPS_BACK), moment()];
    future = [];
    lastEdit = {name: '', at: 0};
    stand({key: newKey(), id: null, revision: 0});
    show(next);
}

/** @param {any} document As the server has it. */
export function openDocument(document) {
    const inside = document.settings?.doc;
    const next = inside?.panels ? inside : fromWire(document.page, {...emptyDoc(), settings: {...emptyDoc().settings, ...document.settings}});
    past = [...past.slice(1 - MOST_STEPS_BACK), moment()];
    future = [];
    const known = [place.value, ...places.values()].find((one) => one.id === document.id);
    stand({key: known?.key ?? newKey(), id: document.id, revision: document.revision});
    doc.value = next;
    steps.value = {back: past.length, forward: 0};
    saved.value = 'saved';
    keepAll();
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
            reading: request.reading ?? null,
            skills: (request.skills ?? []).filter((/** @type {any} */ one) => one.id).map((/** @type {any} */ one) => ({id: one.id, weight: one.weight ?? 1})),
            size: Array.isArray(request.size_px) ? request.size_px : null,
        };
    }
    openNew(fromWire(page, base));
}

/** The page of a first visit: nothing lies behind it. @param {any} page */
export function beginWith(page) {
    show(fromWire(page, emptyDoc()));
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

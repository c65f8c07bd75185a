// The queue as the server has it, and generation: pages sent off, previews and pictures brought back to their slots.
import {api, items, words} from './api.js';
import {addVariant, fingerprint, isSlot, newSeed, toWire} from './doc.js';
import {on} from './events.js';
import {backboneOf, hindrances} from './server.js';
import {signal} from './signal.js';
import {amend, doc, edit, keepAll, place, placeOf} from './studio.js';
import {messages, say, unsay} from './ui.js';

/** @typedef {import('./types.js').Job} Job */

export const jobs = signal(/** @type {Job[]} */ ([]));
/** What a slot shows while it is made: panel key to preview, by variant. */
export const previews = signal(/** @type {Map<string, {job: string, urls: string[], step: number, steps: number}>} */ (new Map()));
/** What went wrong with the last generation of the page in sight; cleared by the next. */
export const trouble = signal(/** @type {{text: string, panel: string | null} | null} */ (null));
/** Losses and samples of trainings. */
export const logs = signal(/** @type {Map<string, {steps: number[], losses: number[], samples: string[]}>} */ (new Map()));

const SENT = 'triptych-jobs';
/**
 * What was sent off here: the keys of the page's panels as they stood (they may move while a job runs), which of them
 * it fills, and the page's own key, for it may have no id of the server's yet. Kept over a reload.
 * @type {Map<string, {keys: string[], asked: string[], page: string}>}
 */
const sent = new Map(JSON.parse(sessionStorage.getItem(SENT) ?? '[]'));

/** @param {string} job @param {{keys: string[], asked: string[], page: string}} what */
function remember(job, what) {
    sent.set(job, what);
    sessionStorage.setItem(SENT, JSON.stringify([...sent].slice(-60)));
}

export const isActive = (/** @type {Job} */ job) => job.state === 'queued' || job.state === 'running' || job.state === 'interrupted';

/** Whether a panel waits for its picture. @param {string} key */
export function isAwaited(key) {
    return jobs.value.some((one) => isActive(one) && sent.get(one.id)?.asked.includes(key));
}

/** The job that fills the page in sight, but for live ones. */
export function filling() {
    return jobs.value.find((one) => one.kind === 'generate' && one.lane === 'batch' && isActive(one) && (sent.get(one.id)?.page === place.value.key || (one.document !== null && one.document === place.value.id)));
}

/** Answers and events overtake each other: what has ended stays so. @param {Job | undefined} known @param {Job} told */
function newest(known, told) {
    return known && !isActive(known) && isActive(told) ? known : {...known, ...told};
}

export async function loadJobs() {
    const before = new Set(jobs.value.map((one) => one.id));
    /** @type {Job[]} */
    const listed = items(await api.get('/api/jobs'));
    const now = new Map(jobs.value.map((one) => [one.id, one]));
    const ids = new Set(listed.map((one) => one.id));
    const cameSince = jobs.value.filter((one) => !before.has(one.id) && !ids.has(one.id));
    jobs.value = [...listed.map((one) => newest(now.get(one.id), one)), ...cameSince];
}

/** @param {Job} told */
function take(told) {
    const job = newest(jobs.value.find((one) => one.id === told.id), told);
    jobs.value = [...jobs.value.filter((one) => one.id !== job.id), job];
    if (isActive(job) || !sent.has(job.id)) return;
    clearPreviews(job.id);
    if (job.state === 'failed' && isOfThisPage(job)) refused(words(job.error));
}

/** Whether the page in sight waits for a job: not one of a page that was left, nor a live one that a newer replaced. @param {Job} job */
function isOfThisPage(job) {
    if (liveJobs.has(job.id) && job.id !== newestLive) return false;
    const key = sent.get(job.id)?.page;
    return key ? key === place.value.key : job.document !== null && job.document === place.value.id;
}

/** Says on the page why it has no pictures; a message that says the same has had its time. @param {string} text @param {string | null} [panel] */
function refused(text, panel = null) {
    trouble.value = {text, panel};
    for (const one of messages.value) if (one.text.endsWith(text)) unsay(one.id);
}

/** @param {string} job */
function clearPreviews(job) {
    previews.value = new Map([...previews.value].filter(([, one]) => one.job !== job));
}

let inSight = place.value.key;
// What went wrong with a page is not said of the next.
place.watch((now) => {
    if (now.key !== inSight) trouble.value = null;
    inSight = now.key;
});

on('job', heard);
on('reset', () => loadJobs().catch(() => {}));
/** Events may overtake the answer that names their job; such wait here. @type {(() => void)[]} */
let early = [];
let asking = 0;

/** @param {string | null} job @param {() => void} again */
function isEarly(job, again) {
    if (!asking || !job || sent.has(job)) return false;
    early.push(again);
    return true;
}

on('preview', preview);
on('picture', arrived);

/** @param {Job} job */
function heard(job) {
    if (!isEarly(job.id, () => heard(job))) take(job);
}

/** @param {any} told */
function preview(told) {
    if (isEarly(told.job, () => preview(told))) return;
    const key = sent.get(told.job)?.keys[told.slot];
    if (!key) return;
    const before = previews.value.get(key);
    const urls = before && before.job === told.job ? [...before.urls] : [];
    urls[told.variant ?? 0] = told.url;
    previews.value = new Map(previews.value).set(key, {job: told.job, urls, step: told.step, steps: told.steps});
}

/** @param {import('./types.js').Picture} picture */
function arrived(picture) {
    if (isEarly(picture.job, () => arrived(picture))) return;
    const key = picture.job ? sent.get(picture.job)?.keys[picture.slot] : undefined;
    if (!key) return;
    const isLive = liveJobs.has(picture.job ?? '');
    if (isLive && picture.job !== newestLive) return;
    const variant = {file: picture.file, picture: picture.id, seed: picture.seed, width: picture.width, height: picture.height, live: isLive};
    if (!doc.value.panels.some((panel) => panel.key === key)) return amend(key, (then) => addVariant(then, key, variant));
    edit((now) => addVariant(now, key, variant), isLive ? {quiet: true} : {name: `job ${picture.job}`});
}
on('log', (told) => {
    const before = logs.value.get(told.job) ?? {steps: [], losses: [], samples: []};
    logs.value = new Map(logs.value).set(told.job, {
        steps: told.loss === null ? before.steps : [...before.steps, told.step],
        losses: told.loss === null ? before.losses : [...before.losses, told.loss],
        samples: told.samples?.length ? told.samples : before.samples,
    });
});

/** @type {Set<string>} */
const liveJobs = new Set();
/** @type {string | null} */
let newestLive = null;
let live = 0;

/**
 * Sends the page off. `only` names the panels to fill, others stay; without it every slot is filled.
 * @param {{only?: string[] | null, lane?: 'live' | 'batch', seed?: number, variants?: number}} [how]
 */
export async function generate({only = null, lane = 'batch', seed, variants} = {}) {
    const now = doc.value;
    const blocking = hindrances(now).find((one) => one.blocks);
    if (blocking) {
        refused(blocking.text, blocking.panel);
        return null;
    }
    const ticket = ++live;
    // Another page may be in sight when the server answers.
    const page = place.value.key;
    const keys = now.panels.map((panel) => panel.key);
    const settings = now.settings;
    const request = {
        page: toWire(now),
        seed: seed ?? settings.seed,
        number: variants ?? (lane === 'live' ? 1 : settings.variants),
        backbone: backboneOf(now)?.name,
        ...(settings.skills.length ? {skills: settings.skills} : {}),
        ...(settings.steps ? {steps: settings.steps} : {}),
        ...(settings.reading && !settings.steps && backboneOf(now)?.readings?.includes(settings.reading) ? {reading: settings.reading} : {}),
        ...(settings.guidance ? {guidance: settings.guidance} : {}),
        ...(settings.conditioning ? {conditioning: settings.conditioning} : {}),
        ...(settings.size ? {size_px: settings.size} : {}),
    };
    const slots = only ? now.panels.flatMap((panel, index) => (only.includes(panel.key) && isSlot(panel) ? [index] : [])) : null;
    trouble.value = null;
    lastMade = fingerprint(now);
    asking += 1;
    try {
        // A reload a moment later must find the page that this fills.
        if (lane === 'batch') await keepAll();
        const job = await api.post('/api/jobs', {
            kind: 'generate', lane, replaces: lane === 'live' ? newestLive : null, document: placeOf(page)?.id ?? null, body: {request, slots},
        });
        const asked = now.panels.filter((panel) => isSlot(panel) && (!only || only.includes(panel.key))).map((panel) => panel.key);
        remember(job.id, {keys, asked, page});
        if (lane === 'live') {
            liveJobs.add(job.id);
            if (ticket === live || !newestLive) newestLive = job.id;
        } else newestLive = null;
        take(job);
        return job;
    } catch (error) {
        if (page === place.value.key) refused(words(error));
        else if (lane === 'batch') say(words(error), {kind: 'error'});
        return null;
    } finally {
        asking -= 1;
        const again = early;
        early = [];
        for (const one of again) one();
    }
}

/** Another picture for one slot; the others stay as they are. @param {string} key */
export function reroll(key) {
    return generate({only: [key], seed: newSeed(), variants: 1});
}

/** How long typing rests before the page is made: newer requests replace older ones, so this need only spare work. */
const LIVE_PAUSE_MS = 150;

let lastMade = '';
/** @type {ReturnType<typeof setTimeout> | undefined} */
let pause;

/** Live: whenever what generation reads has changed, and typing has stopped for a moment, the newest page is made. */
export function followLive() {
    doc.watch((now) => {
        clearTimeout(pause);
        if (!now.settings.live || fingerprint(now) === lastMade) return;
        pause = setTimeout(() => {
            if (!hindrances(doc.value).some((one) => one.blocks) && isWorthMaking()) generate({lane: 'live'});
        }, LIVE_PAUSE_MS);
    });
}

function isWorthMaking() {
    const now = doc.value;
    return fingerprint(now) !== lastMade && (now.overview || now.panels.some((one) => one.instruction || one.image || one.boxes?.length));
}

/** Says that the page as it is has its pictures, so that opening it does not make them again. */
export function markMade() {
    lastMade = fingerprint(doc.value);
}

/** @param {string} id */
export async function cancel(id) {
    try {
        take(await api.remove(`/api/jobs/${id}`) ?? {...jobs.value.find((one) => one.id === id), state: 'cancelled'});
    } catch (error) {
        say(words(error), {kind: 'error'});
    }
}

export async function cancelAll() {
    try {
        await api.post('/api/jobs/cancel-all');
        await loadJobs();
    } catch (error) {
        say(words(error), {kind: 'error'});
    }
}

/** @param {string} id @param {string | null} before */
export async function moveJob(id, before) {
    try {
        await api.post(`/api/jobs/${id}/move`, {before});
        await loadJobs();
    } catch (error) {
        say(words(error), {kind: 'error'});
    }
}

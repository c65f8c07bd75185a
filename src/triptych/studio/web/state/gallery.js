// Everything ever made, a page of results at a time.
import {api, items, words} from './api.js';
import {on} from './events.js';
import {signal} from './signal.js';
import {say} from './ui.js';

/** @typedef {import('./types.js').Picture} Picture */
/** @typedef {'all' | 'favourites' | 'rejected' | 'bin'} Filter */

export const gallery = signal({
    /** @type {Picture[][]} */ chunks: [],
    /** @type {string | null} */ next: null,
    total: 0,
    loading: false,
    error: '',
    query: '',
    filter: /** @type {Filter} */ ('all'),
});
export const selected = signal(/** @type {Set<string>} */ (new Set()));

/** @param {Partial<typeof gallery.value>} some */
function update(some) {
    gallery.value = {...gallery.value, ...some};
}

let ticket = 0;

/** @param {{query?: string, filter?: Filter}} [what] */
export async function search(what = {}) {
    selected.value = new Set();
    update({...what, next: null, error: ''});
    await load(true);
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let typing;

/** Searches when typing rests; what is shown until then is not the answer. @param {string} query */
export function searchSoon(query) {
    update({query, loading: true});
    ticket += 1; // what was asked before is no answer to these words
    clearTimeout(typing);
    typing = setTimeout(() => search({query}), 200);
}

/** @param {boolean} [anew] */
export async function load(anew = false) {
    const mine = ++ticket;
    const {query, filter, next} = gallery.value;
    const asked = new URLSearchParams({limit: '120'});
    if (query) asked.set('query', query);
    if (filter === 'favourites') asked.set('favourite', 'true');
    if (filter === 'rejected') asked.set('rejected', 'true');
    if (filter === 'bin') asked.set('bin', 'true');
    if (!anew && next) asked.set('before', next);
    update({loading: true});
    try {
        const answer = await api.get(`/api/pictures?${asked}`);
        if (mine !== ticket) return;
        update({chunks: anew ? [items(answer)] : [...gallery.value.chunks, items(answer)], next: answer.next, total: answer.total, loading: false, error: ''});
    } catch (error) {
        if (mine === ticket) update({loading: false, error: words(error)});
    }
}

/** @param {string[]} ids @param {(picture: Picture) => Picture | null} change */
function apply(ids, change) {
    const those = new Set(ids);
    const chunks = gallery.value.chunks.map((chunk) => chunk.flatMap((one) => (those.has(one.id) ? (change(one) ?? []) : [one])));
    update({chunks});
}

/** @param {string[]} ids @param {{favourite?: boolean, rejected?: boolean}} some */
export async function mark(ids, some) {
    apply(ids, (one) => ({...one, ...some}));
    try {
        await Promise.all(ids.map((id) => api.patch(`/api/pictures/${id}`, some)));
    } catch (error) {
        say(words(error), {kind: 'error'});
        await load(true);
    }
}

/** Tells that a picture was kept or chosen, for skills to learn from; a page that cannot tell it works on. @param {string | null | undefined} id */
export function picked(id) {
    if (id) api.post(`/api/pictures/${id}/pick`, {verdict: 'kept'}).catch(() => {});
}

/** @param {string[]} ids */
export async function bin(ids) {
    try {
        await api.post('/api/pictures/delete', {ids});
        apply(ids, () => null);
        selected.value = new Set();
        update({total: Math.max(0, gallery.value.total - ids.length)});
        say(ids.length === 1 ? 'One picture is in the bin.' : `${ids.length} pictures are in the bin.`, {actions: [{label: 'Bring back', run: () => restore(ids)}]});
    } catch (error) {
        say(words(error), {kind: 'error'});
    }
}

/** @param {string[]} ids */
export async function restore(ids) {
    try {
        await api.post('/api/pictures/restore', {ids});
        await search();
    } catch (error) {
        say(words(error), {kind: 'error'});
    }
}

export function clearAllButFavourites() {
    say('Move every picture that is not a favourite to the bin?', {
        kind: 'warning', stays: true, here: true,
        actions: [{label: 'Move them', run: async () => {
            try {
                const {deleted} = await api.post('/api/pictures/delete', {all_but_favourites: true});
                say(`${deleted} pictures are in the bin.`);
                await search();
            } catch (error) {
                say(words(error), {kind: 'error'});
            }
        }}],
    });
}

export function emptyBin() {
    say('Delete what is in the bin for good?', {
        kind: 'warning', stays: true, here: true,
        actions: [{label: 'Delete for good', run: async () => {
            try {
                await api.post('/api/bin/empty');
                await search();
            } catch (error) {
                say(words(error), {kind: 'error'});
            }
        }}],
    });
}

/** @param {string[]} ids */
export async function zip(ids) {
    try {
        const blob = await api.blob('/api/pictures/zip', {ids});
        const link = document.createElement('a');
        link.href = URL.createObjectURL(blob);
        link.download = 'triptych.zip';
        link.click();
        setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    } catch (error) {
        say(words(error), {kind: 'error'});
    }
}

on('picture', (picture) => {
    const {filter, query, chunks} = gallery.value;
    if (filter !== 'all' || query || !chunks.length || chunks.flat().some((one) => one.id === picture.id)) return;
    update({chunks: [[picture, ...chunks[0]], ...chunks.slice(1)], total: gallery.value.total + 1});
});

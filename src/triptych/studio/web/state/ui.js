// What the page shows besides the document: the view, messages, dialogs, light and dark.
import {signal} from './signal.js';

/** @typedef {{label: string, run: () => void}} Action */
/** @typedef {{id: number, text: string, kind: 'note' | 'warning' | 'error', actions: Action[], stays: boolean, here: boolean}} Message */

export const VIEWS = ['page', 'gallery', 'skills', 'rules'];
export const view = signal('page');
export const messages = signal(/** @type {Message[]} */ ([]));
/** The dialog that is open: a name, and what it is about. */
export const dialog = signal(/** @type {{name: string, about?: any} | null} */ (null));
export const isQueueOpen = signal(false);
/** Whether the pictures made before stand beside the page. */
export const isTrayOpen = signal(false);
/** The panel that has the keyboard's attention. */
export const focusedPanel = signal(/** @type {string | null} */ (null));
/** The panel that boxes are drawn on, and which of them is chosen, from 0; `drawn` where a pointer began it and goes on. */
export const boxing = signal(/** @type {{panel: string, at: number | null, drawn?: boolean} | null} */ (null));

let number = 0;

/**
 * A message at the edge of the page, read out by screen readers; `here` is for what makes sense in this view alone.
 * @param {string} text
 * @param {{kind?: 'note' | 'warning' | 'error', actions?: Action[], stays?: boolean, here?: boolean}} [how]
 */
export function say(text, {kind = 'note', actions = [], stays = kind === 'error', here = false} = {}) {
    number += 1;
    const message = {id: number, text, kind, actions, stays, here};
    messages.value = [...messages.value.filter((one) => one.text !== text), message].slice(-4);
    if (!stays) setTimeout(() => unsay(message.id), actions.length ? 9000 : 5000);
    return message.id;
}

/** @param {number} id */
export function unsay(id) {
    messages.value = messages.value.filter((one) => one.id !== id);
}

view.watch(() => (messages.value = messages.value.filter((one) => !one.here)));

/** @param {string} name */
export function go(name) {
    view.value = name;
    location.hash = `#/${name}`;
}

/** The address leads: the browser's way back leaves the dialog, too. */
function route() {
    const name = location.hash.replace(/^#\//, '');
    const next = VIEWS.includes(name) ? name : 'page';
    if (next === view.value) return;
    view.value = next;
    dialog.value = null;
}

export function follow() {
    addEventListener('hashchange', route);
    route();
}

/** 'light', 'dark' or 'system'. */
export const theme = signal(localStorage.getItem('triptych-theme') ?? 'system');

/** @param {string} name */
export function setTheme(name) {
    theme.value = name;
    localStorage.setItem('triptych-theme', name);
    applyTheme();
}

export function applyTheme() {
    if (theme.value === 'system') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme.value;
}

export function isDark() {
    if (theme.value !== 'system') return theme.value === 'dark';
    return matchMedia('(prefers-color-scheme: dark)').matches;
}

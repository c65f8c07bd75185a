// What the server tells by itself: one stream of events for the whole page, taken up again where it broke off.
import {OFFLINE, address} from './api.js';
import {signal} from './signal.js';
import {messages, unsay} from './ui.js';

/** Whether the stream stands: 'connecting', 'open' or 'lost'. */
export const connection = signal('connecting');
/** The worker's state, as the server last said. */
export const worker = signal(/** @type {{state: string, message?: string}} */ ({state: 'ready'}));

/** @type {Map<string, Set<(data: any) => void>>} */
const listeners = new Map();
const KINDS = ['job', 'preview', 'picture', 'skill', 'log', 'worker', 'reset', 'hello'];

/**
 * @param {string} kind
 * @param {(data: any) => void} listener
 */
export function on(kind, listener) {
    const those = listeners.get(kind) ?? new Set();
    listeners.set(kind, those.add(listener));
    return () => those.delete(listener);
}

/** Opens the stream; the browser itself comes back with `Last-Event-ID` after a break. */
export function listen() {
    const source = new EventSource(address('/api/events'));
    source.onopen = () => {
        connection.value = 'open';
        for (const one of messages.value) if (one.text.endsWith(OFFLINE)) unsay(one.id);
    };
    source.onerror = () => {
        connection.value = 'lost';
        // A stream that was refused, not cut, is not tried again by the browser.
        if (source.readyState === EventSource.CLOSED) {
            setTimeout(listen, 2000);
        }
    };
    for (const kind of KINDS) {
        source.addEventListener(kind, (event) => {
            const data = JSON.parse(/** @type {MessageEvent} */ (event).data || '{}');
            for (const listener of listeners.get(kind) ?? []) listener(data);
        });
    }
}

on('worker', (said) => (worker.value = said));

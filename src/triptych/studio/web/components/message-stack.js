// Messages at the edge of the page.
import {LitElement, css, html, nothing, repeat} from '../vendor/lit.js';
import {icon} from '../ui/icons.js';
import {shared} from '../ui/styles.js';
import {Watching} from '../state/signal.js';
import {OFFLINE} from '../state/api.js';
import {connection} from '../state/events.js';
import {isQueueOpen, messages, unsay} from '../state/ui.js';

export class MessageStack extends LitElement {
    constructor() {
        super();
        new Watching(this, messages, connection, isQueueOpen);
    }

    render() {
        return html`<div class=${isQueueOpen.value ? 'stack aside' : 'stack'} role="log" aria-label="Messages" aria-live="polite">${repeat(messages.value.filter((one) => one.text !== OFFLINE || connection.value !== 'lost'), (one) => one.id, (one) => html`
            <div class="message" role=${one.kind === 'error' ? 'alert' : 'status'}>
                ${one.kind === 'note' ? nothing : icon('warning', 16)}<span class="text">${one.text}</span>
                ${one.actions.map((action) => html`<button class="button" @click=${() => { unsay(one.id); action.run(); }}>${action.label}</button>`)}
                <button class="icon" aria-label="Close this message" @click=${() => unsay(one.id)}>${icon('close', 14)}</button>
            </div>`)}</div>`;
    }

    static styles = [shared, css`
        .stack { position: fixed; z-index: 20; right: var(--space-4); top: calc(var(--bar) + var(--space-3)); display: grid; gap: var(--space-2); width: min(420px, calc(100vw - 2 * var(--space-4))); pointer-events: none; }
        /* The queue stands at the right edge, on a phone over the whole width. */
        .aside { right: calc(min(380px, 100vw) + var(--space-4)); }
        @media (max-width: 820px) { .aside { right: var(--space-4); top: auto; bottom: var(--space-4); } }
        .message { display: flex; flex-wrap: wrap; align-items: center; gap: var(--space-2); padding: var(--space-2) var(--space-2) var(--space-2) var(--space-4); border-radius: var(--corner); background: var(--raised); box-shadow: var(--shadow-float); font-size: var(--type-2); pointer-events: auto; animation: enter var(--calm); }
        .message > svg { color: var(--pencil); flex: none; }
        .text { flex: 1 1 160px; overflow-wrap: anywhere; }
        .icon { width: 28px; height: 28px; }
        @keyframes enter { from { opacity: 0; transform: translateY(-8px); } }
    `];
}
customElements.define('message-stack', MessageStack);

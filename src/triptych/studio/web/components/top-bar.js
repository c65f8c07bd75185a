// The head of the studio: its name, its views, the queue at a glance, commands, light and dark.
import {LitElement, css, html, nothing} from '../vendor/lit.js';
import {icon, mark} from '../ui/icons.js';
import {shared} from '../ui/styles.js';
import {Watching} from '../state/signal.js';
import {connection, worker} from '../state/events.js';
import {isActive, jobs} from '../state/jobs.js';
import {dialog, go, isDark, isQueueOpen, setTheme, theme, view} from '../state/ui.js';
import {keyName} from '../state/commands.js';

const VIEWS = [['page', 'Page'], ['gallery', 'Gallery'], ['skills', 'Skills'], ['rules', 'Rules lab']];

/** @type {Record<string, string>} */
const WORK = {train: 'Teaching', evaluate: 'Measuring', build: 'Building'};

export class TopBar extends LitElement {
    constructor() {
        super();
        new Watching(this, jobs, view, theme, connection, worker, isQueueOpen);
    }

    render() {
        return html`<header>
            <a class="brand" href="#/page" aria-label="Triptych, to the page">${mark()}<span>Triptych</span></a>
            <nav aria-label="Views">${VIEWS.map(([name, label]) => html`<a href=${`#/${name}`} aria-current=${view.value === name ? 'page' : nothing} @dragenter=${() => this._rest(name)} @dragleave=${() => clearTimeout(this._resting)}>${label}</a>`)}</nav>
            <span class="fill"></span>
            ${this._queue()}
            <button class="button plain palette" aria-label=${`Commands, ${keyName('mod+k')}`} @click=${() => (dialog.value = {name: 'palette'})}>${icon('command')}<kbd>${keyName('mod+k')}</kbd></button>
            <button class="icon" aria-label=${isDark() ? 'Light' : 'Dark'} title=${isDark() ? 'Light' : 'Dark'} @click=${() => setTheme(isDark() ? 'light' : 'dark')}>${icon(isDark() ? 'sun' : 'moon')}</button>
        </header>`;
    }

    /** What is dragged over a tab for a moment goes on to its view. @param {string} name */
    _rest(name) {
        clearTimeout(this._resting);
        this._resting = setTimeout(() => go(name), 450);
    }

    _queue() {
        const active = jobs.value.filter(isActive);
        const running = active.find((one) => one.state === 'running');
        const waiting = active.filter((one) => one !== running).length;
        const {step = 0, steps = 0} = running?.progress ?? {};
        const isLost = connection.value === 'lost';
        const state = isLost ? 'No connection' : worker.value.state === 'starting' ? 'Starting' : worker.value.state === 'crashed' ? 'Restarting' : running ? `${WORK[running.kind] ?? 'Making'}${steps ? ` ${step}/${steps}` : ''}` : waiting ? 'Waiting' : 'Idle';
        return html`<button class="button plain queue" aria-expanded=${isQueueOpen.value} aria-label=${`Queue: ${state}${waiting ? `, ${waiting} waiting` : ''}`} @click=${() => (isQueueOpen.value = !isQueueOpen.value)}>
            <span class=${isLost ? 'dot lost' : running ? 'dot on' : 'dot'}></span><span class="state">${state}</span>${waiting && running ? html`<span class="quiet">${waiting} waiting</span>` : nothing}
            ${running && steps && !isLost ? html`<progress aria-hidden="true" .value=${step} max=${steps}></progress>` : nothing}
        </button>`;
    }

    static styles = [shared, css`
        :host { position: sticky; top: 0; z-index: 6; display: block; background: color-mix(in oklab, var(--table) 92%, transparent); backdrop-filter: blur(10px); }
        header { display: flex; align-items: center; gap: var(--space-2); height: var(--bar); padding: 0 var(--space-5); border-bottom: 1px solid var(--line); }
        .brand { display: inline-flex; align-items: center; gap: var(--space-2); margin-right: var(--space-4); color: var(--ink); text-decoration: none; font: 500 var(--type-5)/1 var(--serif); letter-spacing: -0.01em; }
        nav { display: flex; gap: var(--space-1); height: 100%; }
        nav a { display: grid; place-items: center; padding: 0 var(--space-3); color: var(--ink-2); text-decoration: none; font: 500 var(--type-2)/1 var(--sans); border-bottom: 2px solid transparent; margin-bottom: -1px; white-space: nowrap; }
        nav a:hover { color: var(--ink); }
        nav a[aria-current] { color: var(--ink); border-color: var(--pencil); }
        .fill { flex: 1; }
        .queue { position: relative; font-variant-numeric: tabular-nums; color: var(--ink-2); }
        .queue progress { position: absolute; inset: auto 6px 2px; width: auto; height: 2px; }
        .dot { width: 8px; height: 8px; border-radius: 50%; background: var(--line-strong); }
        .dot.on { background: var(--pencil); }
        .dot.lost { background: transparent; box-shadow: inset 0 0 0 2px var(--pencil); }
        @media (max-width: 640px) {
            header { padding: var(--space-1) var(--space-3) 0; gap: 0; flex-wrap: wrap; align-content: space-between; }
            .brand { margin-right: 0; min-height: 40px; }
            nav { order: 9; flex-basis: 100%; height: 38px; margin: 0 calc(-1 * var(--space-3)); padding: 0 var(--space-1); }
            nav a { flex: 1; padding: 0; }
            .palette kbd { display: none; }
        }
    `];
}
/** @type {any} */ (TopBar.prototype)._resting = undefined;
customElements.define('top-bar', TopBar);

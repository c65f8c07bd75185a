// The queue: what runs, what waits, what has ended; live work first; moved, cancelled one by one or all.
import {LitElement, css, html, nothing, repeat} from '../vendor/lit.js';
import {icon} from '../ui/icons.js';
import {shared} from '../ui/styles.js';
import {Watching} from '../state/signal.js';
import {words} from '../state/api.js';
import {cancel, cancelAll, isActive, jobs, logs, moveJob} from '../state/jobs.js';
import {isQueueOpen} from '../state/ui.js';

/** @type {Record<string, string>} */
const STATES = {queued: 'Waits', running: 'Runs', done: 'Done', failed: 'Failed', cancelled: 'Cancelled', interrupted: 'Interrupted, tries again'};

/** @param {number | null | undefined} seconds */
export function duration(seconds) {
    if (seconds === null || seconds === undefined) return '';
    if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
    return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

export class QueueDrawer extends LitElement {
    constructor() {
        super();
        new Watching(this, jobs, logs);
    }

    firstUpdated() {
        /** @type {HTMLElement | null} */ (this.renderRoot.querySelector('aside'))?.focus();
    }

    render() {
        const active = jobs.value.filter(isActive).sort((a, b) => rank(a) - rank(b));
        const ended = jobs.value.filter((one) => !isActive(one) && (one.lane !== 'live' || one.state === 'failed')).sort((a, b) => (b.ended ?? 0) - (a.ended ?? 0)).slice(0, 30);
        return html`<aside aria-label="Queue" tabindex="-1" @keydown=${(/** @type {KeyboardEvent} */ event) => event.key === 'Escape' && (isQueueOpen.value = false)}>
            <header><h2>Queue</h2>${active.length ? html`<button class="button danger" @click=${cancelAll}>Cancel all</button>` : nothing}
                <button class="icon" aria-label="Close the queue" @click=${() => (isQueueOpen.value = false)}>${icon('close')}</button></header>
            <p class="for-readers" role="status">${active.length} ${active.length === 1 ? 'job' : 'jobs'} run or wait</p>
            ${active.length ? html`<ol>${repeat(active, (one) => one.id, (one, index) => this._active(one, index, active))}</ol>` : html`<p class="quiet empty">Nothing runs or waits. What you generate, teach and evaluate shows up here.</p>`}
            ${ended.length ? html`<h3>Ended</h3><ol>${repeat(ended, (one) => one.id, (one) => html`<li class="ended">
                <span class=${one.state}>${STATES[one.state]}</span><span class="title">${one.title}</span>
                <span class="quiet">${one.started && one.ended ? duration(one.ended - one.started) : ''}</span>
                ${one.state === 'failed' ? html`<p class="problem">${icon('warning', 16)}<span>${words(one.error)}</span></p>` : nothing}</li>`)}</ol>` : nothing}
        </aside>`;
    }

    /** @param {import('../state/types.js').Job} job @param {number} index @param {import('../state/types.js').Job[]} all */
    _active(job, index, all) {
        const {phase, step = 0, steps = 0, eta_s: left} = job.progress ?? {};
        const waits = job.state === 'queued';
        const loss = logs.value.get(job.id)?.losses.at(-1);
        return html`<li>
            <div class="row"><span class="title">${job.title}</span>
                ${waits && index > 0 && all[index - 1].state === 'queued' ? html`<button class="icon" aria-label=${`${job.title}: earlier`} title="Earlier" @click=${() => moveJob(job.id, all[index - 1].id)}>${icon('up', 16)}</button>` : nothing}
                ${waits && index < all.length - 1 ? html`<button class="icon" aria-label=${`${job.title}: later`} title="Later" @click=${() => moveJob(job.id, all[index + 2]?.id ?? null)}>${icon('down', 16)}</button>` : nothing}
                <button class="icon" aria-label=${`Cancel ${job.title}`} title="Cancel" @click=${() => cancel(job.id)}>${icon('close', 16)}</button></div>
            <p class="quiet">${STATES[job.state]}${job.lane === 'live' ? ', live' : ''}${phase && !waits ? ` · ${phase}` : ''}${steps ? ` · ${step} of ${steps}` : ''}${loss === undefined ? '' : ` · loss ${loss.toFixed(3)}`}${left ? ` · ${duration(left)} left` : ''}</p>
            ${waits ? nothing : html`<progress aria-label=${`Progress of ${job.title}`} .value=${steps ? step : 0} max=${steps || 1}></progress>`}
        </li>`;
    }

    static styles = [shared, css`
        aside { position: fixed; z-index: 8; inset: var(--bar) 0 0 auto; width: min(380px, 100vw); padding: var(--space-4) var(--space-5); overflow-y: auto; background: var(--raised); box-shadow: var(--shadow-float); animation: slide var(--calm); }
        aside:focus-visible { outline: 0; }
        @keyframes slide { from { transform: translateX(40px); opacity: 0; } }
        header { display: flex; align-items: center; gap: var(--space-2); margin-bottom: var(--space-3); }
        header h2 { flex: 1; }
        h3 { margin: var(--space-5) 0 var(--space-1); }
        li { padding: var(--space-3) 0; border-bottom: 1px solid var(--line); }
        .row { flex-wrap: nowrap; }
        .title { flex: 1; min-width: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; font-weight: 500; font-size: var(--type-2); }
        .ended { display: grid; grid-template-columns: 76px 1fr auto; gap: 0 var(--space-2); align-items: baseline; padding: var(--space-2) 0; font-size: var(--type-2); color: var(--ink-2); }
        .ended .title { font-weight: 400; }
        .ended .problem { grid-column: 1 / -1; margin-top: var(--space-1); }
        .failed { color: var(--pencil); }
        .done { color: var(--good); }
        .empty { padding: var(--space-5) 0; }
        .icon { width: 30px; height: 30px; }
        progress { margin-top: var(--space-2); }
    `];
}
customElements.define('queue-drawer', QueueDrawer);

/** @param {import('../state/types.js').Job} job */
function rank(job) {
    return (job.state === 'running' ? 0 : 1e6) + (job.lane === 'live' ? 0 : 1e4) + (job.position ?? 0);
}

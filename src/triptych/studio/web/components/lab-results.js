// What came of the rules lab: evaluations with their reports, page sets, and those that are still at work.
import {LitElement, css, html, nothing, repeat} from '../vendor/lit.js';
import {icon} from '../ui/icons.js';
import {shared} from '../ui/styles.js';
import {Watching} from '../state/signal.js';
import {address, words} from '../state/api.js';
import {cancel, isActive, jobs} from '../state/jobs.js';
import {moment} from '../ui/moment.js';
import './evaluate-menu.js';

const SHOWN = 12;

export class LabResults extends LitElement {
    constructor() {
        super();
        this._since = Date.now() / 1000;
        new Watching(this, jobs);
    }

    render() {
        const all = jobs.value.filter((one) => ['evaluate', 'build'].includes(one.kind) && one.state !== 'cancelled')
            .sort((a, b) => b.created - a.created).slice(0, SHOWN);
        if (!all.length) return nothing;
        return html`<section aria-label="Reports and sets"><h2>Reports and sets</h2>${repeat(all, (one) => one.id, (one) => this._one(one))}</section>`;
    }

    /** @param {import('../state/types.js').Job} job */
    _one(job) {
        const {step = 0, steps = 0} = job.progress ?? {};
        const when = job.ended ? moment(job.ended) : '';
        if (isActive(job)) {
            return html`<div class="card row"><strong>${job.title}</strong><span class="quiet" role="status">${job.state === 'running' ? `${step} of ${steps || '?'} pages` : 'Waits for its turn'}</span>
                <button class="icon" aria-label=${`Cancel ${job.title}`} title="Cancel" @click=${() => cancel(job.id)}>${icon('close', 16)}</button>
                <progress aria-label=${`Progress of ${job.title}`} .value=${step} max=${steps || 1}></progress></div>`;
        }
        if (job.state === 'failed') return html`<div class="card"><strong>${job.title}</strong><p class="problem">${icon('warning', 16)}<span>${words(job.error)}</span></p></div>`;
        const {report, page_set: set} = job.results ?? {};
        if (report) {
            return html`<details class="card" ?open=${(job.ended ?? 0) > this._since}><summary>${job.title}<span class="quiet">${when}</span></summary>
                <iframe title=${`Report: ${job.title}`} src=${address(report)} loading="lazy" sandbox="allow-same-origin"></iframe></details>`;
        }
        return html`<div class="card row"><strong>${job.title}</strong><span class="quiet">${when}</span><span class="fill"></span>${set ? html`<evaluate-menu .on=${{page_set: set}}></evaluate-menu>` : nothing}</div>`;
    }

    static styles = [shared, css`
        section { margin-top: var(--space-6); }
        h2 { margin-bottom: var(--space-3); }
        .card { position: relative; margin-top: var(--space-2); padding: var(--space-3) var(--space-4); background: var(--sheet); border-radius: var(--corner-sheet); box-shadow: var(--shadow-sheet); overflow: hidden; }
        .row { min-height: 60px; }
        .fill { flex: 1; }
        strong, summary { font: 500 var(--type-4)/1.4 var(--serif); }
        summary { cursor: pointer; }
        summary .quiet { margin-left: var(--space-3); font: 400 var(--type-2)/1 var(--sans); }
        .row > .icon { margin-left: auto; }
        .card > progress { position: absolute; inset: auto 0 0; border-radius: 0; }
        .problem { margin-top: var(--space-2); }
        iframe { width: 100%; height: 72dvh; margin-top: var(--space-3); border: 1px solid var(--line); background: #fff; }
    `];
}
customElements.define('lab-results', LabResults);

// A training as it runs: where it is, its loss as a line, what it makes by now, time left.
import {LitElement, css, html, nothing, svg} from '../vendor/lit.js';
import {icon} from '../ui/icons.js';
import {late} from '../ui/late.js';
import {shared} from '../ui/styles.js';
import {Watching} from '../state/signal.js';
import {fileAddress, words} from '../state/api.js';
import {cancel, isActive, logs} from '../state/jobs.js';
import {goOn} from '../state/teach.js';
import {duration} from './queue-drawer.js';

export class TrainingCard extends LitElement {
    static properties = {job: {attribute: false}};

    constructor() {
        super();
        /** @type {import('../state/types.js').Job} */
        this.job = late();
        new Watching(this, logs);
    }

    render() {
        const job = this.job;
        const {phase, step = 0, steps = 0, eta_s: left} = job.progress ?? {};
        const log = logs.value.get(job.id);
        const loss = log?.losses.at(-1);
        const runs = isActive(job);
        return html`<article aria-label=${job.title}>
            <div class="what"><h2 class="name">${job.title}</h2>
                <p class="quiet">${job.state === 'queued' ? 'Waits for its turn' : runs ? `${phase || 'training'} · step ${step} of ${steps || '?'}` : job.state === 'failed' ? 'Failed' : `Stopped at step ${step}`}${loss === undefined ? '' : ` · loss ${loss.toFixed(3)}`}${runs && left ? ` · ${duration(left)} left` : ''}</p>
                ${job.state === 'failed' ? html`<p class="problem" role="alert">${icon('warning', 16)}<span>${words(job.error)}</span></p>` : nothing}
                <div class="row">${runs ? html`<button class="button" @click=${() => cancel(job.id)}>${icon('close', 16)}Stop</button>` : html`<button class="button" @click=${() => goOn({id: job.id, name: job.title})}>${icon('next', 16)}Go on from there</button>`}</div></div>
            ${log && log.losses.length > 1 ? this._line(log.losses) : nothing}
            ${log?.samples.length ? html`<div class="samples" aria-label="What it makes by now">${log.samples.slice(0, 4).map((one) => html`<img src=${fileAddress(one, 256)} alt="Sample" />`)}</div>` : nothing}
            ${runs ? html`<progress aria-label=${`Progress of ${job.title}`} .value=${step} max=${steps || 1}></progress>` : nothing}
        </article>`;
    }

    /** @param {number[]} losses */
    _line(losses) {
        const [most, least] = [Math.max(...losses), Math.min(...losses)];
        const points = losses.map((loss, index) => `${((index / (losses.length - 1)) * 200).toFixed(1)},${(58 - ((loss - least) / (most - least || 1)) * 54).toFixed(1)}`).join(' ');
        return svg`<svg class="line" viewBox="0 0 200 60" role="img" aria-label="Loss so far" preserveAspectRatio="none"><polyline points=${points} fill="none" stroke="var(--pencil)" stroke-width="1.500" vector-effect="non-scaling-stroke" /></svg>`;
    }

    static styles = [shared, css`
        .name { font: 500 var(--type-4)/1.3 var(--serif); letter-spacing: 0; }
        article { position: relative; display: flex; flex-wrap: wrap; align-items: center; gap: var(--space-5); margin-bottom: var(--space-4); padding: var(--space-4) var(--space-4) var(--space-5); background: var(--sheet); border-radius: var(--corner-sheet); box-shadow: var(--shadow-sheet); overflow: hidden; }
        .what { flex: 1 1 260px; display: grid; gap: var(--space-2); }
        .line { width: 200px; height: 60px; border-bottom: 1px solid var(--line); }
        .samples { display: flex; gap: var(--space-1); }
        .samples img { width: 72px; height: 72px; object-fit: cover; border-radius: var(--corner-picture); }
        article > progress { position: absolute; inset: auto 0 0; border-radius: 0; }
    `];
}
customElements.define('training-card', TrainingCard);

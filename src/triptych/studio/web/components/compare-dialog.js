// Two pictures under one slider, and how their requests differ.
import {LitElement, css, html, nothing} from '../vendor/lit.js';
import {shared} from '../ui/styles.js';
import {vars} from '../ui/vars.js';
import {api, fileAddress, words} from '../state/api.js';
import '../ui/modal.js';

/**
 * A request as flat lines: what a person would compare.
 * @param {any} value
 * @param {string} path
 * @returns {[string, string][]}
 */
export function flat(value, path = '') {
    if (value === null || value === undefined || value === '') return [];
    if (typeof value !== 'object') return [[path, String(value)]];
    return Object.entries(value).flatMap(([key, inner]) => flat(inner, path ? `${path} ${Number.isNaN(Number(key)) ? key.replace('_px', '') : Number(key) + 1}` : key));
}

export class CompareDialog extends LitElement {
    static properties = {about: {attribute: false}, at: {state: true}, requests: {state: true}, error: {state: true}};

    constructor() {
        super();
        /** @type {{id: string, file: string}[]} */
        this.about = [];
        this.at = 50;
        /** @type {any[]} */
        this.requests = [];
        this.error = '';
    }

    async firstUpdated() {
        try {
            this.requests = await Promise.all(this.about.map((one) => api.get(`/api/pictures/${one.id}`)));
        } catch (error) {
            this.error = words(error);
        }
    }

    render() {
        const [left, right] = this.about;
        return html`<modal-box wide heading="Compare"><div class="two">
            <div class="stage" ${vars({'--at': `${this.at}%`})}><img src=${fileAddress(right.file)} alt="The second picture" /><img class="over" src=${fileAddress(left.file)} alt="The first picture" /><span class="bar" aria-hidden="true"></span>
                <input type="range" min="0" max="100" aria-label="How much of the first picture is shown" .value=${String(this.at)} @input=${(/** @type {Event} */ event) => (this.at = Number(/** @type {HTMLInputElement} */ (event.target).value))} /></div>
            <div>${this._difference()}</div></div></modal-box>`;
    }

    _difference() {
        if (this.error) return html`<p class="problem">${this.error}</p>`;
        if (this.requests.length < 2) return html`<p class="quiet">Reading their requests</p>`;
        const [left, right] = this.requests.map((one) => new Map(flat({...one.request, seed: one.seed, slot: one.slot + 1})));
        const keys = [...new Set([...left.keys(), ...right.keys()])].filter((key) => left.get(key) !== right.get(key) && !key.endsWith(' answer') && key !== 'number');
        if (!keys.length) return html`<p>Their requests are the same.</p>`;
        return html`<table><caption>How their requests differ</caption><thead><tr><th scope="col"><span class="for-readers">Part</span></th><th scope="col">First</th><th scope="col">Second</th></tr></thead>
            <tbody>${keys.map((key) => html`<tr><th scope="row">${key.replace(/^page panels/, 'panel').replace(/^page context/, 'example').replace(' panels', ',')}</th><td>${cell(left.get(key))}</td><td>${cell(right.get(key))}</td></tr>`)}</tbody></table>`;
    }

    static styles = [shared, css`
        .two { display: grid; grid-template-columns: minmax(0, 1.2fr) minmax(280px, 1fr); gap: var(--space-5); align-items: start; }
        .stage { position: relative; display: grid; background: var(--well); }
        .stage > img { grid-area: 1 / 1; width: 100%; height: 100%; object-fit: contain; }
        .over { clip-path: inset(0 calc(100% - var(--at)) 0 0); }
        .bar { position: absolute; inset: 0 auto 0 var(--at); width: 2px; margin-left: -1px; background: var(--pencil); }
        .bar::after { content: ''; position: absolute; top: 50%; left: -13px; width: 28px; height: 28px; margin-top: -14px; border-radius: 50%; background: var(--pencil); box-shadow: var(--shadow-float); }
        input { position: absolute; inset: 0; width: 100%; height: 100%; margin: 0; opacity: 0; cursor: ew-resize; }
        .stage:focus-within { outline: 2px solid var(--pencil); outline-offset: 2px; }
        table { width: 100%; border-collapse: collapse; font-size: var(--type-2); }
        caption { text-align: left; padding-bottom: var(--space-2); font: 500 var(--type-4)/1.3 var(--serif); }
        th, td { padding: var(--space-2) var(--space-2) var(--space-2) 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; overflow-wrap: anywhere; }
        th { font-weight: 500; color: var(--ink-2); }
        td img { width: 44px; height: 44px; object-fit: cover; }
        @media (max-width: 760px) { .two { grid-template-columns: 1fr; } }
    `];
}
customElements.define('compare-dialog', CompareDialog);

/** @param {string | undefined} value */
function cell(value) {
    if (value === undefined) return nothing;
    return /^file:[0-9a-f]{64}$/.test(value) ? html`<img src=${fileAddress(value, 128)} alt="picture" />` : value;
}

// The rules lab: pages that programs make, with known answers; looked at, built into sets, taught, evaluated.
import {LitElement, css, html, nothing, repeat} from '../vendor/lit.js';
import {icon} from '../ui/icons.js';
import {shared} from '../ui/styles.js';
import {Watching} from '../state/signal.js';
import {api, fileAddress, items, words} from '../state/api.js';
import {backboneOf, loadRules, rules} from '../state/server.js';
import {addPages} from '../state/teach.js';
import {doc, measure, openPage} from '../state/studio.js';
import {dialog, go} from '../state/ui.js';
import {build} from '../state/lab.js';
import '../ui/view-problem.js';
import './evaluate-menu.js';
import './lab-results.js';

export class RulesView extends LitElement {
    static properties = {chosen: {state: true}, seed: {state: true}, pages: {state: true}, query: {state: true}, error: {state: true}, busy: {state: true}};

    constructor() {
        super();
        this.chosen = '';
        this.seed = 0;
        /** @type {import('../state/types.js').WirePage[]} */
        this.pages = [];
        this.query = '';
        this.error = '';
        this.busy = false;
        new Watching(this, rules, doc);
        this._load();
    }

    async _load() {
        try {
            await loadRules();
            this.error = '';
            await this._choose(this.chosen || (rules.value?.[0]?.name ?? ''));
        } catch (error) {
            this.error = words(error);
        }
    }

    render() {
        const found = (rules.value ?? []).filter((one) => `${one.name} ${one.family} ${one.summary}`.toLowerCase().includes(this.query.toLowerCase()));
        const rule = rules.value?.find((one) => one.name === this.chosen);
        return html`<main><h1>Rules lab</h1><p class="lead">Programs that make pages whose right answers are known: to look at, to learn from, to measure with.</p>
            <view-problem .text=${this.error} @again=${this._load}></view-problem>
            <div class="two"><nav aria-label="Rules"><input class="field" type="search" aria-label="Find a rule" placeholder="Find a rule" @input=${(/** @type {Event} */ event) => (this.query = /** @type {HTMLInputElement} */ (event.target).value)} />
                <ul>${repeat(found, (one) => one.name, (one) => html`<li><button aria-current=${one.name === this.chosen ? 'true' : nothing} @click=${() => this._choose(one.name)}><strong>${one.name}</strong><span class="quiet">${one.family}${one.held_out ? ', never trained on' : ''}</span></button></li>`)}</ul></nav>
            <section aria-live="polite" aria-busy=${this.busy}>${rule ? this._rule(rule) : html`<p class="quiet">${rules.value ? 'Choose a rule.' : this.error ? '' : 'Loading'}</p>`}</section></div><lab-results></lab-results></main>`;
    }

    /** @param {Map<string, any>} changed */
    updated(changed) {
        if (changed.has('chosen') || changed.has('query')) this.renderRoot.querySelector('nav [aria-current]')?.scrollIntoView({block: 'nearest', inline: 'center'});
    }

    /** @param {import('../state/types.js').Rule} rule */
    _rule(rule) {
        return html`<div class="head"><h2>${rule.name}</h2><p>${rule.summary}</p></div>
            <div class="row actions"><button class="button" @click=${() => this._look(this.seed + 1)}>${icon('dice')}Other seeds</button>
                <button class="button" @click=${this._try} ?disabled=${this.pages.length < 2}>${icon('arrow')}Try it on the page</button>
                <button class="button" @click=${this._teach}>${icon('teach')}Teach it from ten</button>
                <button class="button" @click=${() => build(rule.name, this.seed)}>${icon('stack')}Build a set of 100</button>
                <evaluate-menu .on=${{rule: rule.name}}></evaluate-menu></div>
            <ul class="pages">${this.pages.map((page) => html`<li>${page.panels.map((panel) => html`<figure class=${panel.answer ? 'answer' : ''}><img src=${fileAddress(panel.image ?? panel.answer ?? null, 256)} alt=${panel.answer ? 'The right answer' : panel.instruction ? '' : 'Condition'} loading="lazy" />${panel.instruction ? html`<figcaption>${panel.instruction}</figcaption>` : nothing}</figure>`)}</li>`)}</ul>`;
    }

    /** @param {string} name */
    async _choose(name) {
        this.chosen = name;
        this.pages = [];
        if (name) await this._look(0);
    }

    /** @param {number} seed @param {number} [count] @returns {Promise<import('../state/types.js').WirePage[]>} */
    async _pages(seed, count = 6) {
        return items(await api.post(`/api/rules/${encodeURIComponent(this.chosen)}/pages`, {seed, count, size_px: backboneOf(doc.value)?.side_px ?? 128}));
    }

    /** @param {number} seed */
    async _look(seed) {
        this.busy = true;
        this.error = '';
        const rule = this.chosen;
        try {
            const pages = await this._pages(seed);
            if (rule === this.chosen) [this.pages, this.seed] = [pages, seed];
        } catch (error) {
            this.error = words(error);
        }
        this.busy = false;
    }

    /** The last page as a question, the two before it as its examples. */
    async _try() {
        const [asked, ...others] = [...this.pages].reverse();
        const bare = ({context: _, ...page} = /** @type {any} */ ({})) => page;
        openPage({...bare(asked), context: asked.context?.length ? asked.context : others.slice(0, 2).map(bare), panels: asked.panels.map((panel) => ({...panel, answer: null}))});
        go('page');
        await measure();
    }

    async _teach() {
        try {
            addPages((await this._pages(this.seed, 10)).map(({context: _, ...page}) => page));
            dialog.value = {name: 'teach'};
        } catch (error) {
            this.error = words(error);
        }
    }

    static styles = [shared, css`
        main { max-width: 1240px; margin: 0 auto; padding: var(--space-6) var(--space-5) var(--space-8); }
        h1 { font-size: var(--type-7); }
        .lead { margin: var(--space-1) 0 var(--space-5); color: var(--ink-2); }
        .two { display: grid; grid-template-columns: 240px minmax(0, 1fr); gap: var(--space-5); align-items: start; }
        nav ul { margin-top: var(--space-2); max-height: 68dvh; overflow-y: auto; }
        nav button { display: block; width: 100%; padding: var(--space-2) var(--space-3); border: 0; border-left: 2px solid transparent; background: transparent; text-align: left; cursor: pointer; }
        nav button:focus-visible { outline-offset: -2px; }
        nav button:hover { background: color-mix(in oklab, var(--ink) 5%, transparent); }
        nav button[aria-current] { border-color: var(--pencil); background: var(--sheet); }
        nav strong { display: block; font: 500 var(--type-3)/1.3 var(--serif); }
        nav .quiet { font-size: var(--type-1); }
        .two > section { padding: var(--space-5); background: var(--sheet); border-radius: var(--corner-sheet); box-shadow: var(--shadow-sheet); min-height: 300px; }
        .head p { margin-top: 2px; color: var(--ink-2); }
        .actions { margin: var(--space-4) 0 var(--space-5); }
        .pages { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 320px), 1fr)); gap: var(--space-5); }
        .pages li { display: flex; gap: var(--space-2); }
        figure { flex: 1; min-width: 0; }
        figure img { width: 100%; aspect-ratio: auto 1; border-radius: var(--corner-picture); background: var(--well); box-shadow: 0 0 0 1px var(--line); }
        .answer img { box-shadow: 0 0 0 1px var(--pencil); }
        figcaption { padding-top: var(--space-1); font: italic 400 var(--type-2)/1.3 var(--serif); color: var(--ink-2); }
        @media (max-width: 760px) { main { padding: var(--space-4) var(--space-3) var(--space-7); } h1 { font-size: var(--type-6); } .two { grid-template-columns: minmax(0, 1fr); } nav ul { display: flex; max-height: none; overflow-x: auto; } nav li { flex: none; } nav button { border-left: 0; border-bottom: 2px solid transparent; } .two > section { padding: var(--space-4); } }
    `];
}
customElements.define('rules-view', RulesView);

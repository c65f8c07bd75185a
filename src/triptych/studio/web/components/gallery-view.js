// Gallery and history: search, favourites, rejected, bin, mass actions; pictures load as one scrolls.
import {LitElement, css, html, nothing, ref} from '../vendor/lit.js';
import {icon} from '../ui/icons.js';
import {shared} from '../ui/styles.js';
import {Watching} from '../state/signal.js';
import {api, items} from '../state/api.js';
import {insertPanels, newCondition, newSlot} from '../state/doc.js';
import {bin, clearAllButFavourites, emptyBin, gallery, load, mark, restore, search, searchSoon, selected, zip} from '../state/gallery.js';
import {doc, edit} from '../state/studio.js';
import {dialog, go, say} from '../state/ui.js';
import '../ui/view-problem.js';
import './gallery-chunk.js';

/** @type {[import('../state/gallery.js').Filter, string][]} */
const FILTERS = [['all', 'All'], ['favourites', 'Favourites'], ['rejected', 'Rejected'], ['bin', 'Bin']];

/** @type {Record<string, string>} */
const EMPTY = {
    favourites: 'No favourites yet. A star marks a picture; on the keyboard it is F.',
    rejected: 'Nothing is rejected. On the keyboard X rejects a picture.',
    bin: 'The bin is empty.',
};

export class GalleryView extends LitElement {
    static properties = {prompts: {state: true}, picking: {state: true}};

    constructor() {
        super();
        /** @type {{text: string, used: number}[]} */
        this.prompts = [];
        /** Whether a press chooses a picture instead of opening it. */
        this.picking = false;
        this._anchor = '';
        this._isAtEnd = false;
        this._watcher = new IntersectionObserver((seen) => {
            this._isAtEnd = seen.at(-1)?.isIntersecting ?? false;
            this._more();
        }, {rootMargin: '1800px'});
        new Watching(this, gallery, selected);
    }

    connectedCallback() {
        super.connectedCallback();
        search();
        api.get('/api/prompts').then((answer) => (this.prompts = items(answer))).catch(() => {});
    }

    /** The end may still be near when more has come. */
    updated() {
        requestAnimationFrame(() => this._more());
    }

    _more() {
        const {next, loading, error} = gallery.value;
        if (this._isAtEnd && this.isConnected && next && !loading && !error) load();
    }

    disconnectedCallback() {
        this._watcher.disconnect();
        super.disconnectedCallback();
    }

    render() {
        const {chunks, total, loading, error, filter, query} = gallery.value;
        const isEmpty = !loading && chunks.every((chunk) => !chunk.length);
        // The bar stands before the pictures, as more of them come while one goes on with Tab.
        return html`${selected.value.size ? this._mass() : nothing}<main aria-busy=${loading}>
            <header><h1>Gallery</h1><span class="quiet" role="status">${total === 1 ? '1 picture' : `${total.toLocaleString('en')} pictures`}</span><span class="fill"></span>
                ${filter === 'bin' ? html`<button class="button danger" @click=${emptyBin} ?disabled=${isEmpty}>Empty the bin</button>` : html`<button class="button plain" @click=${clearAllButFavourites} ?disabled=${isEmpty}>Clear all but favourites</button>`}</header>
            <div class="filters">
                <div class="search">${icon('search')}<input type="search" class="field" list="words" aria-label="Search by words" placeholder="Search by words" .value=${query} @input=${this._search} /></div>
                <datalist id="words">${this.prompts.slice(0, 100).map((one) => html`<option value=${one.text}></option>`)}</datalist>
                <button class="button pick" aria-pressed=${this.picking} @click=${() => (this.picking = !this.picking)}>${icon('check', 16)}Choose</button>
                <div class="tabs" role="group" aria-label="Which pictures">${FILTERS.map(([name, label]) => html`<button aria-pressed=${filter === name} @click=${() => search({filter: name})}>${label}</button>`)}</div>
            </div>
            ${this._words()}
            <view-problem .text=${error} @again=${() => search()}></view-problem>
            ${isEmpty && !error ? html`<p class="nothing">${query ? `Nothing made with the words "${query}".` : filter === 'all' ? 'Nothing made yet. Every picture that a page gets is kept here, with its page and its seed.' : EMPTY[filter]}</p>` : nothing}
            ${chunks.map((chunk) => html`<gallery-chunk .pictures=${chunk} .selected=${selected.value} .picking=${this.picking || selected.value.size > 0} @chosen=${this._choose}></gallery-chunk>`)}
            ${loading ? html`<p class="quiet loading" role="status">Loading</p>` : nothing}
            <div class="end" ${ref((element) => element && this._watcher.observe(element))}></div>
        </main>`;
    }

    _words() {
        if (!this.prompts.length) return nothing;
        return html`<details><summary>Words used before</summary><ul class="words">${this.prompts.slice(0, 40).map((one) => html`<li><button class="button plain" title="Add a slot with these words to the page"
            @click=${() => { edit((now) => insertPanels(now, [newSlot({instruction: one.text})])); go('page'); }}>${one.text}${one.used > 1 ? html`<span class="quiet">${one.used} times</span>` : nothing}</button></li>`)}</ul></details>`;
    }

    _mass() {
        const ids = [...selected.value];
        const pictures = gallery.value.chunks.flat().filter((one) => selected.value.has(one.id));
        const isBin = gallery.value.filter === 'bin';
        return html`<div class="mass" role="toolbar" aria-label="Chosen pictures"><strong>${ids.length} chosen</strong>
            ${isBin ? html`<button class="button" @click=${() => restore(ids)}>${icon('undo', 16)}Bring back</button>` : html`
            <button class="button" @click=${() => mark(ids, {favourite: !pictures.every((one) => one.favourite)})}>${icon('star', 16)}Favourite</button>
            <button class="button" @click=${() => mark(ids, {rejected: !pictures.every((one) => one.rejected)})}>${icon('reject', 16)}Reject</button>
            ${ids.length === 2 ? html`<button class="button" @click=${() => (dialog.value = {name: 'compare', about: pictures})}>${icon('compare', 16)}Compare</button>` : nothing}
            <button class="button" @click=${() => this._toPage(pictures)}>${icon('plus', 16)}Onto the page</button>
            <button class="button" @click=${() => zip(ids)}>${icon('download', 16)}Zip</button>
            <button class="button danger" @click=${() => bin(ids)}>${icon('trash', 16)}Bin</button>`}
            <button class="icon" aria-label="Choose none" @click=${() => { selected.value = new Set(); this.picking = false; }}>${icon('close', 16)}</button></div>`;
    }

    /** @param {import('../state/types.js').Picture[]} pictures */
    _toPage(pictures) {
        edit((now) => insertPanels(now, pictures.map((one) => newCondition({id: one.file, width: one.width, height: one.height})), 0));
        go('page');
        say(`${pictures.length === 1 ? 'The picture is' : 'The pictures are'} on the page, in front of its ${doc.value.panels.length - pictures.length} other panels.`);
    }

    /** @param {Event} event */
    _search(event) {
        searchSoon(/** @type {HTMLInputElement} */ (event.target).value);
    }

    /** @param {CustomEvent} event */
    _choose(event) {
        const {id, range} = event.detail;
        const those = new Set(selected.value);
        const all = gallery.value.chunks.flat().map((one) => one.id);
        const [from, to] = [all.indexOf(this._anchor), all.indexOf(id)].sort((a, b) => a - b);
        if (range && from >= 0) for (const one of all.slice(from, to + 1)) those.add(one);
        else if (!those.delete(id)) those.add(id);
        this._anchor = id;
        selected.value = those;
    }

    static styles = [shared, css`
        main { max-width: 1560px; margin: 0 auto; padding: var(--space-6) var(--space-5) 120px; }
        header { display: flex; align-items: baseline; gap: var(--space-3); flex-wrap: wrap; margin-bottom: var(--space-4); }
        h1 { font-size: var(--type-7); }
        .fill { flex: 1; }
        header .plain { margin-right: calc(-1 * var(--space-3)); }
        .pick[aria-pressed='true'] { color: var(--pencil); }
        @media (hover: hover) { .pick { display: none; } }
        .filters { display: flex; flex-wrap: wrap; gap: var(--space-3); margin-bottom: var(--space-4); }
        .search { position: relative; flex: 1 1 240px; max-width: 480px; }
        .search svg { position: absolute; left: var(--space-3); top: 9px; color: var(--ink-3); pointer-events: none; }
        .search input { padding-left: 38px; }
        .tabs { display: flex; gap: 2px; }
        .tabs button { min-height: var(--hit); padding: 0 var(--space-3); border: 0; border-radius: var(--corner); background: transparent; color: var(--ink-2); font: 500 var(--type-2)/1 var(--sans); cursor: pointer; }
        .tabs button[aria-pressed='true'] { background: var(--ink); color: var(--sheet); }
        .nothing { padding: var(--space-8) 0; text-align: center; font: italic 400 var(--type-4)/1.5 var(--serif); color: var(--ink-2); }
        .loading { text-align: center; padding: var(--space-4); }
        .end { height: 1px; }
        details { margin-bottom: var(--space-4); }
        summary { cursor: pointer; color: var(--ink-2); font-size: var(--type-2); }
        .words { display: flex; flex-wrap: wrap; gap: var(--space-1); padding-top: var(--space-2); }
        .words .button { font: 400 var(--type-3)/1.3 var(--serif); white-space: normal; text-align: left; background: var(--sheet); }
        .mass { position: fixed; z-index: 5; left: 50%; bottom: var(--space-4); transform: translateX(-50%); display: flex; flex-wrap: wrap; align-items: center; gap: var(--space-1); width: max-content; max-width: calc(100vw - 2 * var(--space-3)); padding: var(--space-2) var(--space-2) var(--space-2) var(--space-4); border-radius: 12px; background: var(--raised); box-shadow: var(--shadow-float); font-size: var(--type-2); }
        .mass strong { margin-right: var(--space-2); font-weight: 600; }
        .mass .button { border-color: transparent; background: transparent; padding: 0 var(--space-2); }
        .mass .button:hover { background: color-mix(in oklab, var(--ink) 8%, transparent); }
        @media (max-width: 640px) { main { padding: var(--space-4) var(--space-3) 140px; } h1 { font-size: var(--type-6); } }
    `];
}
customElements.define('gallery-view', GalleryView);

// Pictures made before, beside the page: dragged into a panel, or pressed to add one.
import {LitElement, css, html, nothing, repeat} from '../vendor/lit.js';
import {icon} from '../ui/icons.js';
import {shared} from '../ui/styles.js';
import {Watching} from '../state/signal.js';
import {api, fileAddress, items, words} from '../state/api.js';
import {insertPanels, isSlot, newCondition} from '../state/doc.js';
import {on} from '../state/events.js';
import {PICTURE_TYPE} from '../state/files.js';
import {edit} from '../state/studio.js';
import {isTrayOpen} from '../state/ui.js';
import '../ui/view-problem.js';

/** @typedef {import('../state/types.js').Picture} Picture */

/** Where the tray lies over the page. */
const NARROW_PX = 640;

export class PictureTray extends LitElement {
    static properties = {found: {state: true}, next: {state: true}, query: {state: true}, favourites: {state: true}, error: {state: true}};

    constructor() {
        super();
        /** @type {Picture[] | null} */
        this.found = null;
        /** @type {string | null} */
        this.next = null;
        this.query = '';
        this.favourites = false;
        this.error = '';
        new Watching(this, isTrayOpen);
    }

    connectedCallback() {
        super.connectedCallback();
        this._end = on('picture', () => !this.query && this._load());
        this._load();
    }

    disconnectedCallback() {
        this._end?.();
        super.disconnectedCallback();
    }

    firstUpdated() {
        this.renderRoot.querySelector('input')?.focus();
    }

    /** @param {boolean} [more] */
    async _load(more = false) {
        const asked = new URLSearchParams({limit: '60', query: this.query});
        if (this.favourites) asked.set('favourite', 'true');
        if (more && this.next) asked.set('before', this.next);
        try {
            const answer = await api.get(`/api/pictures?${asked}`);
            this.found = [...(more ? (this.found ?? []) : []), ...items(answer)];
            this.next = answer.next;
            this.error = '';
        } catch (error) {
            this.error = words(error);
        }
    }

    render() {
        return html`<aside aria-label="Pictures made before" @keydown=${(/** @type {KeyboardEvent} */ event) => event.key === 'Escape' && this._close()}>
            <header><h2>Made before</h2><button class="icon" aria-label="Close the pictures made before" @click=${this._close}>${icon('close')}</button></header>
            <p class="quiet">Drag one into a panel, or press it to add it.</p>
            <div class="ask"><input class="field" type="search" aria-label="Find a picture by its words" placeholder="Find by words" @input=${this._search} />
                <button class="icon" aria-pressed=${this.favourites} aria-label="Only favourites" title="Only favourites" @click=${() => { this.favourites = !this.favourites; this._load(); }}>${icon('star')}</button></div>
            <view-problem .text=${this.error} @again=${() => this._load()}></view-problem>
            ${this.found?.length === 0 ? html`<p class="nothing">${this.query || this.favourites ? 'Nothing like that.' : 'Nothing made yet.'}</p>` : nothing}
            <ul>${repeat(this.found ?? [], (one) => one.id, (one) => html`<li><button draggable="true" aria-label=${`Add to the page: ${one.prompt_words || 'without words'}, seed ${one.seed}`} title=${one.prompt_words}
                @dragstart=${(/** @type {DragEvent} */ event) => event.dataTransfer?.setData(PICTURE_TYPE, JSON.stringify({id: one.file, width: one.width, height: one.height}))}
                @click=${() => this._add(one)}><img src=${fileAddress(one.file, 256)} alt="" loading="lazy" decoding="async" /></button></li>`)}</ul>
            ${this.next ? html`<button class="button more" @click=${() => this._load(true)}>Show more</button>` : nothing}
        </aside>`;
    }

    _close() {
        isTrayOpen.value = false;
    }

    /** @param {Event} event */
    _search(event) {
        this.query = /** @type {HTMLInputElement} */ (event.target).value;
        clearTimeout(this._wait);
        this._wait = setTimeout(() => this._load(), 200);
    }

    /** In front of the slots, so that they see it. @param {Picture} one */
    _add(one) {
        if (innerWidth <= NARROW_PX) this._close();
        edit((now) => {
            const slot = now.panels.findIndex(isSlot);
            return insertPanels(now, [newCondition({id: one.file, width: one.width, height: one.height})], slot < 0 ? now.panels.length : slot);
        });
    }

    static styles = [shared, css`
        aside { position: fixed; z-index: 4; inset: var(--bar) auto 0 0; width: min(268px, 78vw); padding: var(--space-4) var(--space-4) 110px; overflow-y: auto; background: var(--raised); box-shadow: var(--shadow-float); animation: slide var(--calm); }
        @keyframes slide { from { transform: translateX(-40px); opacity: 0; } }
        header { display: flex; align-items: center; gap: var(--space-2); }
        h2 { flex: 1; font-size: var(--type-5); }
        .ask { display: flex; gap: var(--space-1); margin: var(--space-3) 0; }
        .icon[aria-pressed='true'] svg { fill: currentColor; }
        ul { display: grid; grid-template-columns: 1fr 1fr; gap: var(--space-2); }
        li button { display: block; width: 100%; aspect-ratio: 1; padding: 0; border: 0; border-radius: var(--corner-picture); overflow: hidden; background: var(--well); cursor: grab; }
        li button:hover { box-shadow: 0 0 0 2px var(--pencil); }
        img { width: 100%; height: 100%; object-fit: cover; }
        .more { width: 100%; margin-top: var(--space-3); }
        .nothing { padding: var(--space-6) 0; text-align: center; font: italic 400 var(--type-4)/1.5 var(--serif); color: var(--ink-2); }
        @media (max-width: 640px) { aside { z-index: 7; } }
    `];
}
/** @type {any} */ (PictureTray.prototype)._wait = undefined;
/** @type {any} */ (PictureTray.prototype)._end = () => {};
customElements.define('picture-tray', PictureTray);

// A page of results in the gallery: its pictures stand in the document only while they are near the window.
import {LitElement, css, html, nothing, repeat} from '../vendor/lit.js';
import {shared} from '../ui/styles.js';
import {vars} from '../ui/vars.js';
import './gallery-item.js';

const LEAST_PX = 168;
const NEAR = '1200px';
const PHONE_PX = 640;

/** How high so many square tiles are in a grid of this width. @param {number} count @param {number} width */
function heightOf(count, width) {
    const isPhone = innerWidth <= PHONE_PX;
    const gap = isPhone ? 8 : 12;
    const columns = isPhone ? 3 : Math.max(1, Math.floor((width + gap) / (LEAST_PX + gap)));
    const rows = Math.ceil(count / columns);
    return rows * ((width - gap * (columns - 1)) / columns) + gap * Math.max(0, rows - 1);
}

export class GalleryChunk extends LitElement {
    static properties = {pictures: {attribute: false}, selected: {attribute: false}, picking: {attribute: false}, near: {state: true}, width: {state: true}};

    constructor() {
        super();
        /** @type {import('../state/types.js').Picture[]} */
        this.pictures = [];
        /** @type {Set<string>} */
        this.selected = new Set();
        this.picking = false;
        this.near = false;
        this.width = 0;
        this._sight = new IntersectionObserver((seen) => (this.near = seen.at(-1)?.isIntersecting ?? false), {rootMargin: NEAR});
        this._size = new ResizeObserver(() => (this.width = this.clientWidth));
    }

    connectedCallback() {
        super.connectedCallback();
        this.width = this.clientWidth;
        this._sight.observe(this);
        this._size.observe(this);
    }

    disconnectedCallback() {
        this._sight.disconnect();
        this._size.disconnect();
        super.disconnectedCallback();
    }

    render() {
        return html`<div class="grid" role="list" aria-label="Pictures" ${vars({'--height': `${heightOf(this.pictures.length, this.width)}px`})}>${this.near ? repeat(this.pictures, (one) => one.id, (one) => html`
            <gallery-item role="listitem" .picture=${one} ?selected=${this.selected.has(one.id)} ?choosing=${this.picking}
                @choose=${(/** @type {CustomEvent} */ event) => this._choose(one.id, event.detail.range)}></gallery-item>`) : nothing}</div>`;
    }

    /** @param {string} id @param {boolean} range */
    _choose(id, range) {
        this.dispatchEvent(new CustomEvent('chosen', {detail: {id, range}}));
    }

    static styles = [shared, css`
        :host { display: block; margin-bottom: var(--space-3); }
        .grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(168px, 1fr)); align-content: start; gap: var(--space-3); min-height: var(--height); content-visibility: auto; contain-intrinsic-size: auto var(--height); }
        @media (max-width: 640px) { :host { margin-bottom: var(--space-2); } .grid { grid-template-columns: repeat(3, 1fr); gap: var(--space-2); } }
    `];
}
customElements.define('gallery-chunk', GalleryChunk);
